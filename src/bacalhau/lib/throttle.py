"""A number of requests at once that follows what a server bears: halved when it refuses, grown slowly when it does not.

What several requests are refused for at the same time counts once: only a request that began after the last halving
halves again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turn:
    """A request under way. Its owner says `refused` or `served`."""

    __slots__ = ("_round", "_throttle")

    def __init__(self, throttle: "Throttle", number: int) -> None:
        self._throttle, self._round = throttle, number

    def served(self) -> None:
        self._throttle.grow()

    def refused(self) -> None:
        self._throttle.shrink(self._round)


class Throttle:
    """A number of turns: `most` at once, and never fewer than `least`, because some refusals come whatever the load."""

    def __init__(self, most: int, least: int = 4) -> None:
        self._most, self._least = most, least
        self.limit = float(most)
        self._round = 0
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait until another request may begin, and count it as under way within the block."""
        if self._waiting or self._under_way >= int(self.limit):
            await self._queue()
        else:
            self._under_way += 1
        try:
            yield Turn(self, self._round)
        finally:
            self._leave()

    def grow(self) -> None:
        if self.limit < self._most:
            self.limit = min(float(self._most), self.limit + 1 / self.limit)
            self._admit()

    def shrink(self, number: int) -> None:
        if number == self._round:
            self._round += 1
            self.limit = max(float(self._least), min(self.limit, float(self._under_way)) / 2)

    async def _queue(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        self._under_way -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._under_way < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)
