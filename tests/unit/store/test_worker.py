"""The thread that takes everything that waits."""

import asyncio
import threading
import weakref

import pytest
from anyio.lowlevel import checkpoint

from bacalhau.lib.aio import crew
from bacalhau.lib.errors import Conflict, Unavailable
from bacalhau.store.worker import A_STEP, Worker


class Work:
    """Records its batches and may be held up."""

    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items):
        self.gate.wait(5)
        self.batches.append(items)
        if "bad" in items:
            raise ValueError("bad")
        return [Conflict(item) if item == "taken" else item.upper() for item in items]


@pytest.fixture
def work():
    return Work()


async def test_what_waits_together_is_handled_together(work):
    worker = Worker("test", work, limit=4)
    work.gate.clear()
    async with crew() as people:
        tasks = [people.start(worker.ask(letter)) for letter in "abcdefg"]
        await checkpoint()
        work.gate.set()
        assert [await task for task in tasks] == list("ABCDEFG")
    assert work.batches == [["a"], ["b", "c", "d", "e"], ["f", "g"]]
    await worker.aclose()


async def test_a_worker_that_waits_holds_on_to_no_result():
    class Large:
        pass

    worker = Worker("test", lambda items: [Large() for _ in items], limit=4)
    gone, loop = asyncio.Event(), asyncio.get_running_loop()
    weakref.finalize(await worker.ask("all executions"), loop.call_soon_threadsafe, gone.set)
    async with asyncio.timeout(10):
        await gone.wait()
    await worker.aclose()


async def test_an_expected_error_reaches_only_its_caller(work):
    worker = Worker("test", work, limit=4)
    results = await asyncio.gather(worker.ask("first"), worker.ask("taken"), worker.ask("c"), return_exceptions=True)
    assert results[0] == "FIRST" and results[2] == "C"
    assert isinstance(results[1], Conflict)
    await worker.aclose()


async def test_a_crash_reaches_only_the_one_that_caused_it(work):
    worker = Worker("test", work, limit=4)
    results = await asyncio.gather(*map(worker.ask, ["first", "b", "bad", "d", "e", "f"]), return_exceptions=True)
    assert [r for r in results if isinstance(r, str)] == ["FIRST", "B", "D", "E", "F"]
    assert isinstance(results[2], ValueError)
    assert work.batches == [["first"], ["b", "bad", "d", "e"], ["b"], ["bad"], ["d"], ["e"], ["f"]]
    await worker.aclose()


async def test_a_caller_that_gave_up_disturbs_nobody(work):
    worker = Worker("test", work, limit=4)
    work.gate.clear()
    async with crew() as people:
        gone = people.start(worker.ask("a"))
        stays = people.start(worker.ask("b"))
        await checkpoint()
        gone.cancel()
        work.gate.set()
        assert await stays == "B"
    await worker.aclose()


async def test_closing_drains_and_then_refuses(work):
    worker = Worker("test", work, limit=1)
    work.gate.clear()
    async with crew() as people:
        tasks = [people.start(worker.ask(letter)) for letter in "abc"]
        await checkpoint()
        work.gate.set()
        await worker.aclose()
        assert [task.result() for task in tasks] == list("ABC")
    with pytest.raises(Unavailable, match="closed"):
        await worker.ask("d")


async def test_many_results_are_given_back_in_their_order_a_few_in_each_step_of_the_event_loop(work):
    worker = Worker("test", work, limit=1000)
    work.gate.clear()
    given, in_each_step = [], []

    async def ask(number):
        given.append(await worker.ask(str(number)))

    async with crew() as people:
        for number in range(4 * A_STEP + 1):
            people.start(ask(number))
        await checkpoint()
        work.gate.set()
        while len(given) < 4 * A_STEP + 1:
            before = len(given)
            await checkpoint()
            in_each_step.append(len(given) - before)
    assert max(in_each_step) <= A_STEP
    assert given == [str(number) for number in range(4 * A_STEP + 1)]
    await worker.aclose()


async def test_all_results_are_given_back_before_the_worker_is_closed(work):
    worker = Worker("test", work, limit=1000)
    async with crew() as people:
        tasks = [people.start(worker.ask(str(number))) for number in range(4 * A_STEP)]
        await checkpoint()
        await worker.aclose()
        assert [await task for task in tasks] == [str(number) for number in range(4 * A_STEP)]
