"""Counts that a running process keeps about itself, as plain numbers. Whoever shows them turns them into a format."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence

TICK = 0.5  # seconds between two measurements of the event loop
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Histogram:
    """Values sorted into ranges up to each of `bounds`, which increase; and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def note(self, value: float) -> None:
        """Take in a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.counts)


class LoopLag:
    """The time that the event loop was late to run what was due, in seconds."""

    def __init__(self) -> None:
        self.seconds = Histogram(LAGS)

    async def measure_forever(self) -> None:
        """Measure twice a second."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            self.seconds.note(max(0.0, loop.time() - due))
