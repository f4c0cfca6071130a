"""Sending side by side: a bounded number of items in flight, begun in the order they came, each tried until it is
acknowledged.

An item that is refused again and again holds its place in the window, and nothing else.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Generic, TypeVar

from bacalhau.lib.aio import Crew, Signal

T = TypeVar("T")

IN_FLIGHT = 64
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0  # seconds between two tries of an item
CLOSED_WAIT = 60.0


class Window(Generic[T]):
    """`is_open` while sending makes sense; nothing is sent before `begin`."""

    def __init__(self) -> None:
        self.is_open = False
        self._waiting: deque[T] = deque()
        self._in_flight: dict[int, T] = {}
        self._numbers = count()
        self._opened = Signal()
        self._crew: Crew | None = None
        self._send: Callable[[T], Awaitable[bool]]

    def begin(self, crew: Crew, send: Callable[[T], Awaitable[bool]]) -> None:
        """`send` must not raise; True when the item was acknowledged."""
        self._crew, self._send = crew, send
        self._admit()

    def put(self, item: T) -> None:
        self._waiting.append(item)
        self._admit()

    def open(self) -> None:
        """What was refused is tried at once."""
        self.is_open = True
        self._opened.fire()
        self._admit()

    def close(self) -> None:
        self.is_open = False

    def clear(self) -> None:
        """What is not yet acknowledged is no longer wanted."""
        self._waiting.clear()
        self._in_flight.clear()
        self._opened.fire()

    def unacknowledged(self) -> list[T]:
        return [*self._in_flight.values(), *self._waiting]

    def _admit(self) -> None:
        while self._crew and self.is_open and self._waiting and len(self._in_flight) < IN_FLIGHT:
            number = next(self._numbers)
            self._in_flight[number] = self._waiting.popleft()
            self._crew.start(self._deliver(number))

    async def _deliver(self, number: int) -> None:
        pause = FIRST_PAUSE
        while number in self._in_flight:
            if not self.is_open:
                await self._opened.wait(CLOSED_WAIT)
            elif await self._send(self._in_flight[number]):
                self._in_flight.pop(number, None)
            else:
                await self._opened.wait(pause)
                pause = min(2 * pause, LAST_PAUSE)
        self._admit()
