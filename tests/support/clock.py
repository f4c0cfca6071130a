"""Time that passes at once: an event loop whose pauses end as soon as nothing else is left to do, and our own clock
moved by hand.
"""

import asyncio
import selectors

from bacalhau.lib.clock import now_ns


class _Leaping(selectors.DefaultSelector):
    """Does not wait, but tells its loop how long it would have."""

    def __init__(self):
        super().__init__()
        self.waited = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout is not None:
            self.waited += timeout
        return found


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self):
        return super().time() + self._leaping.waited


class MovedClock:
    """Our own clock (`lib/clock.py`), moved by hand while the block lasts: each reading of it takes 1 µs."""

    def __init__(self):
        self._clock = now_ns.__self__
        self._ahead = 0

    def __enter__(self):
        self._before = self._clock._wall, self._clock._steady
        wall, steady = (clock() for clock in self._before)
        self._clock._steady = lambda: steady + self.move(1000)
        self._clock._wall = lambda: wall + self._ahead
        return self

    def __exit__(self, *_):
        wall, steady = self._clock._wall, self._clock._steady = self._before
        self._clock._last = (steady(), wall())

    def move(self, ns):
        self._ahead += ns
        return self._ahead
