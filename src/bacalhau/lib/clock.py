"""Time as the rest of the code sees it: Unix nanoseconds, and RFC 3339 text for people and history."""

import time
from datetime import UTC, datetime
from functools import lru_cache

ZERO_TIME = "0001-01-01T00:00:00Z"


def now_ns() -> int:
    return time.time_ns()


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
