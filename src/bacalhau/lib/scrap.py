"""Large values that nobody needs any more, let go piece by piece.

The interpreter frees a value with all that belongs to it in one step. For 100,000 executions of a job that takes about
30 ms of processor time, more on a busy machine, in which a server answers nobody. So the parts are collected here, and
a few of them are dropped in each step of the event loop.
"""

import asyncio
from typing import Any

from bacalhau.lib.aio import Signal

A_STEP = 500  # values that are dropped in one step of the event loop: about 1 ms


class Scrap:
    """Values that wait to be dropped. They must belong to nothing else any more, else they are freed with that."""

    def __init__(self) -> None:
        self._piles: list[list[Any]] = []
        self._signal = Signal()

    def put(self, values: list[Any]) -> None:
        """Drop values later; the list belongs to the scrap from now on."""
        self._piles.append(values)
        self._signal.fire()

    async def drop_forever(self) -> None:
        """Drop what was put here, a few values in one step of the event loop, without end."""
        while True:
            while self._piles:
                del self._piles[-1][-A_STEP:]
                if not self._piles[-1]:
                    self._piles.pop()
                await asyncio.sleep(0)
            await self._signal.wait(60)
