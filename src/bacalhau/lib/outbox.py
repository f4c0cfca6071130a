"""Messages that wait for their receiver, on either side of the wire.

A `Lane` holds what waits for one receiver. Messages with the same key (all messages about one execution) are sent one
after the other, in the order they were put; messages with different keys are sent side by side. Each try ends in one of
three verdicts: the message was taken, it is tried again later, or it can never be delivered. A message that is tried
again and again holds up the messages of its own key and nothing else: between two tries it needs no place among those
under way, and tries that follow a refusal get half of the places at most.

A message that ends its key (a cancel) withdraws the earlier messages of the key that were not taken. If the receiver
cannot have heard of the key at all, the ending message is not sent either. Ending messages have places of their own, so
that they never queue behind others.

What is settled leaves the memory at once, and the durable copy a little later, through `Settled`.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from bacalhau.lib.aio import Crew, Signal
from bacalhau.lib.errors import Unavailable

T = TypeVar("T")

AT_ONCE = 64  # messages of one lane and kind that are under way
REFUSED = 1000  # messages of one lane and kind that wait for another try, before no new ones are begun
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0  # seconds between two tries of a message
FORGET_EVERY, FORGET_AGAIN = 0.2, 5.0  # seconds; the second after a failure
log = logging.getLogger(__name__)


class Verdict(Enum):
    """The result of one try to send a message."""

    TAKEN = "taken"
    LATER = "later"
    NEVER = "never"


class Role(Enum):
    """The place of a message among those of its key."""

    BEGINS = "begins"
    CONTINUES = "continues"
    ENDS = "ends"


class Letter(NamedTuple, Generic[T]):
    """A message with its number, which grows from message to message, and the key whose order it keeps."""

    seq: int
    key: str
    item: T
    role: Role = Role.CONTINUES


Send = Callable[[T], Awaitable[Verdict]]
Drop = Callable[[list[T]], Awaitable[None]]


class Settled(Generic[T]):
    """Messages that were taken, withdrawn or given up, and whose durable copy can go. `verdicts` counts all tries."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.verdicts: Counter[Verdict] = Counter()

    async def forget(self, drop: Drop[T]) -> bool:
        """Remove the durable copies, many at once. Return False if that failed: the next call tries the same again."""
        items, self.items = self.items, []
        if not items:
            return True
        try:
            await drop(items)
        except Unavailable as e:
            log.error("%d settled messages stay in the outbox for now: %s", len(items), e)
            self.items[:0] = items
            return False
        return True

    async def forget_forever(self, drop: Drop[T]) -> None:
        """Remove the durable copies of settled messages now and then. After a crash some are sent again, harmlessly."""
        pause = FORGET_EVERY
        while True:
            await asyncio.sleep(pause)
            pause = FORGET_EVERY if await self.forget(drop) else FORGET_AGAIN


class _Entry(Generic[T]):
    """A letter in its lane. `was_tried`: the receiver may have it; `is_gone`: its next verdict does not matter."""

    def __init__(self, letter: Letter[T], was_tried: bool) -> None:
        self.letter = letter
        self.was_tried = was_tried
        self.is_ready = False
        self.is_gone = False
        self.refusals = 0


class _Road(Generic[T]):
    """The places of one kind of message. First tries and further tries wait apart."""

    def __init__(self) -> None:
        self.fresh: deque[_Entry[T]] = deque()
        self.again: deque[_Entry[T]] = deque()
        self.resting = 0
        self.sending = 0
        self.sending_again = 0

    def take(self) -> _Entry[T] | None:
        """Take the message to send next, if there is a place for one."""
        while self.sending < AT_ONCE:
            if self.again and self.sending_again < AT_ONCE // 2:
                entry = self.again.popleft()
            elif self.fresh and self.resting + len(self.again) + self.sending_again < REFUSED:
                entry = self.fresh.popleft()
            else:
                return None
            if not entry.is_gone:
                return entry
        return None

    def count(self, entry: _Entry[T], by: int) -> None:
        """Note that a try of a message begins (1) or has ended (-1)."""
        self.sending += by
        self.sending_again += by if entry.refusals else 0


class Lane(Generic[T]):
    """The messages that wait for one receiver. Nothing is sent before `begin`, nor while the lane is closed."""

    def __init__(self, settled: Settled[T] | None = None) -> None:
        self.settled: Settled[T] = settled or Settled()
        self.is_open = False
        self._queues: dict[str, deque[_Entry[T]]] = {}
        self._roads: dict[bool, _Road[T]] = {False: _Road(), True: _Road()}
        self._opened = Signal()
        self._crew: Crew | None = None
        self._send: Send[T]

    def begin(self, crew: Crew, send: Send[T]) -> None:
        """Start to send. `send` must not raise."""
        self._crew, self._send = crew, send
        self._admit()

    def put(self, letter: Letter[T], *, was_tried: bool = False) -> bool:
        """Queue a message behind those of its key. `was_tried`: the receiver may have it from an earlier process.

        Return True if the key ends with this message and the receiver never heard of it, so that nothing is sent.
        """
        queue = self._queues.setdefault(letter.key, deque())
        unheard = letter.role is Role.ENDS and self._withdraw(queue)
        if letter.role is Role.ENDS and (unheard or queue):
            self._settle(letter)
        else:
            queue.append(_Entry(letter, was_tried))
        self._make_ready(letter.key)
        return unheard

    def open(self) -> None:
        """Send from now on; what was refused is tried at once."""
        self.is_open = True
        self._opened.fire()
        self._admit()

    def close(self) -> None:
        """Send nothing for now."""
        self.is_open = False

    def abandon(self) -> int:
        """Settle all that waits without sending it; return how much that was."""
        letters = self.letters()
        for letter in letters:
            self._settle(letter)
        self.clear()
        return len(letters)

    def clear(self) -> None:
        """Drop all that waits; durable copies stay."""
        for queue in self._queues.values():
            for entry in queue:
                entry.is_gone = True
        self._queues.clear()
        self._opened.fire()

    @property
    def waiting(self) -> int:
        """The number of messages that are not settled."""
        return sum(map(len, self._queues.values()))

    def letters(self) -> list[Letter[T]]:
        """List all that is not settled, in the order of the numbers."""
        return sorted((entry.letter for queue in self._queues.values() for entry in queue), key=lambda x: x.seq)

    def unsettled(self) -> list[T]:
        """List the messages that are not settled, in the order of their numbers."""
        return [letter.item for letter in self.letters()]

    def begins(self, key: str) -> bool:
        """Tell whether the message that begins a key is still here."""
        return any(entry.letter.role is Role.BEGINS for entry in self._queues.get(key, ()))

    def _withdraw(self, queue: deque[_Entry[T]]) -> bool:
        """Take back what was put before the end of a key. Return True if the receiver never heard of the key.

        An end that waits already stays in the queue.
        """
        unheard = any(entry.letter.role is Role.BEGINS for entry in queue) and not any(e.was_tried for e in queue)
        for entry in [entry for entry in queue if entry.letter.role is not Role.ENDS]:
            entry.is_gone = True
            queue.remove(entry)
            self._settle(entry.letter)
        return unheard

    def _settle(self, letter: Letter[T]) -> None:
        self.settled.items.append(letter.item)

    def _make_ready(self, key: str) -> None:
        """Let the first message of a key have its turn, once."""
        queue = self._queues[key]
        if not queue:
            del self._queues[key]
        elif not queue[0].is_ready:
            queue[0].is_ready = True
            self._roads[queue[0].letter.role is Role.ENDS].fresh.append(queue[0])
        self._admit()

    def _admit(self) -> None:
        if self._crew is None or not self.is_open:
            return
        for road in self._roads.values():
            while (entry := road.take()) is not None:
                road.count(entry, 1)
                self._crew.start_in_turn(partial(self._deliver, road, entry))

    async def _deliver(self, road: _Road[T], entry: _Entry[T]) -> None:
        verdict = Verdict.LATER
        if not entry.is_gone:
            entry.was_tried = True
            verdict = await self._send(entry.letter.item)
            self.settled.verdicts[verdict] += 1
        road.count(entry, -1)
        if not entry.is_gone:
            if verdict is Verdict.LATER:
                await self._rest(road, entry)
            else:
                self._queues[entry.letter.key].remove(entry)
                self._settle(entry.letter)
                self._make_ready(entry.letter.key)
        self._admit()

    async def _rest(self, road: _Road[T], entry: _Entry[T]) -> None:
        """Wait before the next try of a message; its place is free meanwhile."""
        pause = min(FIRST_PAUSE * 2 ** min(entry.refusals, 20), LAST_PAUSE)
        entry.refusals += 1
        road.resting += 1
        self._admit()
        await self._opened.wait(pause)
        road.resting -= 1
        road.again.append(entry)
