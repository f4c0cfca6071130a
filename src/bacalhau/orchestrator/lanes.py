"""Messages that wait for their node, in order, mirrored in memory so that sending needs no read."""

from collections import deque
from collections.abc import Iterable

from bacalhau.lib.aio import Signal
from bacalhau.lib.wire import decode
from bacalhau.models.messages import AskForBid
from bacalhau.ports.store import PendingMessage


class Lane:
    """The messages of one node. `is_open` while the node is connected; `undelivered` are the executions that it has not heard of since."""

    def __init__(self) -> None:
        self.waiting: deque[PendingMessage] = deque()
        self.in_flight: list[PendingMessage] = []
        self.is_open = False
        self.undelivered: set[str] = set()
        self.signal = Signal()

    def take(self, limit: int) -> list[PendingMessage]:
        self.in_flight = [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]
        return self.in_flight

    def settle(self, unsent: list[PendingMessage]) -> None:
        """What was taken has been tried; unsent messages return to the front, in order."""
        self.in_flight = []
        self.waiting.extendleft(reversed(unsent))

    def note_undelivered(self, messages: Iterable[PendingMessage]) -> None:
        self.undelivered.update(decode(m.body, AskForBid).execution.id for m in messages if m.type == "AskForBid")

    def unacknowledged(self) -> list[PendingMessage]:
        return [*self.in_flight, *self.waiting]


class Lanes:
    """`acknowledged`: numbers of messages that may leave the outbox."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self._lanes: dict[str, Lane] = {}
        self.opened = Signal()

    def lane(self, node_id: str) -> Lane:
        found = self._lanes.get(node_id)
        if found is None:
            found = self._lanes[node_id] = Lane()
            self.opened.fire()
        return found

    def push(self, message: PendingMessage) -> None:
        lane = self.lane(message.node_id)
        lane.waiting.append(message)
        if not lane.is_open:
            lane.note_undelivered([message])
        lane.signal.fire()

    def open(self, node_id: str) -> None:
        lane = self.lane(node_id)
        lane.is_open = True
        lane.undelivered.clear()
        lane.signal.fire()

    def close(self, node_id: str) -> None:
        lane = self.lane(node_id)
        lane.is_open = False
        lane.note_undelivered(lane.unacknowledged())

    def is_undelivered(self, node_id: str, execution_id: str) -> bool:
        """The node is away and cannot have begun the execution: it was never told."""
        return node_id in self._lanes and execution_id in self._lanes[node_id].undelivered

    def clear(self, node_id: str) -> None:
        """What waits for the node is no longer wanted."""
        self.lane(node_id).waiting.clear()

    def abandon(self, node_id: str) -> int:
        """What waits for the node is not sent any more, and leaves the outbox: how much."""
        lane = self.lane(node_id)
        seqs = [message.seq for message in lane.waiting]
        lane.waiting.clear()
        self.acknowledged += seqs
        return len(seqs)

    def names(self) -> list[str]:
        return list(self._lanes)
