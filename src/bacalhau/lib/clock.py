"""Time as the rest of the code sees it: Unix nanoseconds, and RFC 3339 text for people and history.

It never goes back: when somebody sets the machine's clock, ours follows a little faster or slower than time goes by, so
that time limits and pauses that are under way neither end at once nor last for hours. Only a clock that is set forward
by more than a day is followed at once: that machine had no clock before.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial

ZERO_TIME = "0001-01-01T00:00:00Z"


CATCH_UP = 20  # a twentieth of the time that goes by
TOO_FAR = 24 * 3600 * 1_000_000_000  # ns forward: a machine that had no clock at its start
# Counts also while the machine sleeps, where the system can do that.
_steady_ns = partial(time.clock_gettime_ns, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SmoothClock:
    """Unix ns that never go back. `wall` is what the machine says, `steady` only counts on."""

    def __init__(self, wall: Callable[[], int], steady: Callable[[], int]) -> None:
        self._wall = wall
        self._steady = steady
        self._last = (steady(), wall())

    def now(self) -> int:
        last, before = self._last
        steady, wall = self._steady(), self._wall()
        passed = max(0, steady - last)
        error, most = wall - before - passed, passed // CATCH_UP
        follows = -most <= error <= most or error > TOO_FAR
        now = wall if follows else before + passed + (most if error > 0 else -most)
        self._last = (steady, now)  # one value, so that threads need no lock
        return now


now_ns = SmoothClock(time.time_ns, _steady_ns).now


def rfc3339(ns: int) -> str:
    """Nanoseconds since 1970 → `2026-01-02T03:04:05.678901234Z`; 0 is Go's zero time."""
    if ns == 0:
        return ZERO_TIME
    seconds, rest = divmod(ns, 1_000_000_000)
    text = _second(seconds)
    fraction = f"{rest:09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


@lru_cache(maxsize=16)  # events come many to a second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def from_rfc3339(text: str) -> int:
    """The inverse of `rfc3339`, to the nanosecond."""
    main, _, tail = text.removesuffix("Z").partition(".")
    seconds = int(datetime.strptime(main, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())
    return 0 if text == ZERO_TIME else seconds * 1_000_000_000 + int((tail or "0").ljust(9, "0")[:9])
