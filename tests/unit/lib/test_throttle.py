"""How many requests run at once, for every order of answers."""

import asyncio
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.throttle import Throttle


async def let_others() -> None:
    """Wait until everybody who can go on has done so once."""
    turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    await turn.wait()


@given(st.lists(st.sampled_from(["served", "refused", "cancelled"]), max_size=200), st.integers(1, 40))
def test_there_are_never_too_many_and_nobody_is_forgotten(answers, at_once):
    async def run() -> None:
        throttle, under_way = Throttle(16, least=2), 0

        async def request(answer: str) -> None:
            nonlocal under_way
            async with throttle.turn() as turn:
                under_way += 1
                assert under_way <= 16
                try:
                    await let_others()
                finally:
                    under_way -= 1
                if answer != "cancelled":
                    getattr(turn, answer)()
            assert 2 <= throttle.limit <= 16

        async def begin(answer: str) -> None:
            task = asyncio.ensure_future(request(answer))
            if answer == "cancelled":
                await let_others()
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        await gather_bounded(at_once, [lambda answer=answer: begin(answer) for answer in answers])
        assert throttle._under_way == 0 and not throttle._waiting

    asyncio.run(run())


async def test_what_is_refused_together_halves_once_and_success_grows_slowly():
    throttle = Throttle(32)
    async with asyncio.TaskGroup() as group:
        everybody = asyncio.Barrier(32)

        async def refused() -> None:
            async with throttle.turn() as turn:
                await everybody.wait()
                turn.refused()

        for _ in range(32):
            group.create_task(refused())
    assert throttle.limit == 16
    for _ in range(17):
        async with throttle.turn() as turn:
            turn.served()
    assert 16.9 < throttle.limit < 17.1
