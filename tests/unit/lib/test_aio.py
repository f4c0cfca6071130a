"""Tasks under a parent: the real error comes out bare, and nothing is left running."""

import asyncio
from functools import partial

import pytest
from anyio.lowlevel import checkpoint

from bacalhau.lib.aio import (
    A_STEP,
    Signal,
    background,
    crew,
    first_error,
    gather_bounded,
    read_up_to,
    together,
    uninterrupted,
)


class Endless:
    """Work that waits until it is cancelled, and tells."""

    def __init__(self):
        self.started = self.ended = 0

    async def __call__(self):
        self.started += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


async def fail(error):
    await checkpoint()
    raise error


async def value(thing):
    await checkpoint()
    return thing


async def test_together_gives_results_in_order():
    assert await together(value(1), value("two"), value(None)) == [1, "two", None]
    assert await together() == []


async def test_together_raises_the_bare_first_error_and_cancels_the_rest():
    rest, error = Endless(), KeyError("first")
    with pytest.raises(KeyError) as caught:
        await together(rest(), together(value(1), fail(error)), rest())
    assert caught.value is error
    assert (rest.started, rest.ended) == (2, 2)


async def test_work_that_waits_for_its_turn_begins_in_order_and_little_in_one_step():
    begun, steps = [], []

    async def work(number):
        begun.append(number)

    async with crew() as working:
        for number in range(5 * A_STEP):
            working.start_in_turn(partial(work, number))
        while len(begun) < 5 * A_STEP:
            before = len(begun)
            await checkpoint()
            steps.append(len(begun) - before)
    assert begun == list(range(5 * A_STEP)) and max(steps) == A_STEP


async def test_a_crew_that_is_over_starts_nothing_more():
    begun = []

    async def work():
        begun.append(1)

    async with crew() as working:
        working.start_in_turn(work)
    working.start_in_turn(work)
    await checkpoint()
    assert not begun


async def test_gather_bounded_keeps_its_limit_and_its_order():
    running, most = 0, 0

    async def work(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - number):
            await checkpoint()
        running -= 1
        return number

    assert await gather_bounded(3, [lambda n=n: work(n) for n in range(10)]) == list(range(10))
    assert most == 3
    assert await gather_bounded(3, []) == []


async def test_gather_bounded_starts_nothing_after_an_error():
    rest, error = Endless(), OSError("disk")
    with pytest.raises(OSError) as caught:
        await gather_bounded(2, [rest, lambda: fail(error), rest, rest])
    assert caught.value is error
    assert (rest.started, rest.ended) == (1, 1)


async def test_background_ends_with_the_block():
    loop = Endless()
    async with background(loop(), loop()):
        await checkpoint()
        assert (loop.started, loop.ended) == (2, 0)
    assert loop.ended == 2


async def test_a_crash_in_the_background_ends_the_block_with_the_real_error():
    loop, error = Endless(), ValueError("crash")
    with pytest.raises(ValueError) as caught:
        async with background(loop(), fail(error)):
            await asyncio.Event().wait()
    assert caught.value is error
    assert loop.ended == 1


async def test_an_error_of_the_block_comes_out_bare():
    loop = Endless()
    with pytest.raises(LookupError):
        async with background(loop()):
            await checkpoint()
            raise LookupError
    assert loop.ended == 1


async def test_a_crew_gives_results_and_is_cancelled_at_the_end():
    rest = Endless()
    async with crew() as people:
        people.start(rest())
        assert await people.start(value(3)) == 3
        people.start(rest())
        await checkpoint()
    assert (rest.started, rest.ended) == (2, 2)


def test_the_first_error_is_found_in_nested_groups():
    error = ValueError()
    assert first_error(BaseExceptionGroup("a", [ExceptionGroup("b", [error, KeyError()]), OSError()])) is error
    assert first_error(error) is error


async def test_a_signal_wakes_all_that_wait_and_only_them():
    signal = Signal()
    signal.fire()
    assert not await signal.wait(0.001)
    async with crew() as people:
        waiters = [people.start(signal.wait(5)) for _ in range(3)]
        await checkpoint()
        signal.fire()
        assert [await waiter for waiter in waiters] == [True] * 3
    assert not await signal.wait(0)


async def test_an_error_keeps_its_cause():
    async def translate():
        try:
            raise OSError("the disk")
        except OSError as e:
            raise ValueError("ours") from e

    async def raised_in_a_crew():
        async with crew() as people:
            await people.start(translate())

    for work in (together(translate(), value(1)), raised_in_a_crew()):
        with pytest.raises(ValueError) as caught:
            await work
        assert str(caught.value.__cause__) == "the disk"


async def test_a_stream_is_read_up_to_its_end_or_the_limit():
    async def chunks():
        for chunk in (b"ab", b"", b"cd"):
            yield chunk

    assert await read_up_to(10, chunks()) == b"abcd"
    assert await read_up_to(3, chunks()) == b"abc"


async def test_work_that_must_not_be_interrupted_ends_before_its_cancelled_caller():
    ended, go = [], Signal()

    async def work():
        await go.wait(30)
        ended.append(1)
        return 7

    async with crew() as people:
        caller = people.start(uninterrupted(work()))
        for _ in range(2):
            await checkpoint()
            caller.cancel()
        await checkpoint()
        assert not caller.done() and not ended
        go.fire()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert ended == [1]


async def test_work_that_nobody_cancels_returns_its_result_or_raises_its_error():
    async def fail():
        raise ValueError("no")

    assert await uninterrupted(value(3)) == 3
    with pytest.raises(ValueError, match="no"):
        await uninterrupted(fail())


async def test_an_error_side_by_side_leaves_nobody_marked_as_cancelled():
    async def fail():
        await checkpoint()
        raise ValueError("first")

    for _ in range(3):
        with pytest.raises(ValueError, match="first"):
            await together(fail(), asyncio.Event().wait())
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


async def test_the_first_error_in_time_is_raised_when_all_have_ended():
    ended = []

    async def fail_late():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("late")
            raise KeyError("second")

    async def fail():
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        await together(fail_late(), fail())
    assert ended == ["late"]


async def test_a_cancelled_caller_waits_for_all_of_its_work():
    began, ended = asyncio.Event(), []

    async def work(number):
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            await checkpoint()
            ended.append(number)

    task = asyncio.ensure_future(together(work(1), work(2)))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [1, 2]
