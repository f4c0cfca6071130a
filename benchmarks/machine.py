"""The speed of the machine itself, beside which the other figures are read: the same machine may be half as fast an
hour later.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

ROUNDS = 7
STEPS = 1_000_000


def _count() -> None:
    total = 0
    for step in range(STEPS):
        total += step * step


def _start_python() -> None:
    subprocess.run([sys.executable, "-c", "pass"], check=True)


def _median_ms(work: Callable[[], None]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def measure() -> dict[str, float]:
    """Measure a million steps of a loop in Python, its start, and a write of 8 KB that is on the disk; each in ms."""
    with tempfile.NamedTemporaryFile() as file:

        def write() -> None:
            file.write(b"x" * 8192)
            file.flush()
            os.fdatasync(file.fileno())

        return {"loop_ms": _median_ms(_count), "start_ms": _median_ms(_start_python), "sync_ms": _median_ms(write)}


if __name__ == "__main__":
    print(measure())
