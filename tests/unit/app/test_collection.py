"""The policy of garbage collection: short steps under load, everything when there is little to do."""

import asyncio
import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import ref

from bacalhau.app.collection import MIDDLE, OLD, WORTH, YOUNG, short_collections
from bacalhau.lib.aio import Signal


class Node:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.me = self


@contextmanager
def _counted() -> Iterator[list[int]]:
    counts = [0, 0, 0]

    def note(phase: str, info: dict[str, int]) -> None:
        counts[info["generation"]] += phase == "stop"

    gc.callbacks.append(note)
    try:
        yield counts
    finally:
        gc.callbacks.remove(note)


async def test_under_load_only_what_is_young_is_looked_through():
    async with short_collections():
        with _counted() as counts:
            kept = [[number] for number in range(YOUNG * MIDDLE * WORTH)]
    assert len(kept) == YOUNG * MIDDLE * WORTH
    assert counts[0] > counts[1] > 0 == counts[2]


async def test_what_refers_to_itself_goes_when_there_is_little_to_do():
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    async with short_collections(period=0.05):
        node = Node()
        kept = [[number] for number in range(2 * YOUNG * MIDDLE * WORTH)]  # makes the node old
        circle = ref(node, lambda _: loop.call_soon(gone.set))
        del node
        async with asyncio.timeout(30):
            await gone.wait()
    assert circle() is None and kept


def _resident() -> int:
    """Measure the memory of this process that is its own, bytes."""
    resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
    return (int(resident) - int(shared)) * resource.getpagesize()


async def test_freed_memory_goes_back_to_the_system_when_there_is_little_to_do():
    size, count = 2000, 50_000
    things = [bytes(size) for _ in range(count)]
    kept, before = things[::1000], _resident()
    del things
    assert before - _resident() < size * count / 2
    async with short_collections(period=0.05), asyncio.timeout(30):
        while before - _resident() < size * count / 2:
            await Signal().wait(0.01)
    assert len(kept) == count / 1000


async def test_the_process_gets_its_own_thresholds_back():
    before = gc.get_threshold()
    async with short_collections():
        assert gc.get_threshold() == (YOUNG, MIDDLE, OLD)
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
