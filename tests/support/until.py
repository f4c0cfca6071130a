"""Waiting for what tells nobody when it happens."""

import threading
import time
from collections.abc import Callable

PAUSE = 0.05  # seconds between two looks


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Looks again and again; fails with `what` did not come true."""
    end = time.monotonic() + seconds
    never = threading.Event()
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        never.wait(PAUSE)
