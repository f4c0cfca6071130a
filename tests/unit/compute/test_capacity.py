"""Room and GPUs: held while a task runs, each GPU by one task, taken up again after a restart before anybody else."""

import asyncio
from contextlib import AsyncExitStack

from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew, together
from bacalhau.models.job.resources import GPU, Resources

CARDS = tuple(GPU(index=n, vendor="NVIDIA", name="T4", memory=15360) for n in range(3))


def machine():
    return Capacity(Resources(cpu=2.0, memory=100, gpu=3, gpus=CARDS))


async def test_each_gpu_has_one_user():
    capacity = machine()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(capacity.hold("one", Resources(cpu=0.5, gpu=2)))
        assert one == Resources(cpu=0.5, gpu=2, gpus=CARDS[:2])
        assert capacity.free == Resources(cpu=1.5, memory=100, gpu=1, gpus=CARDS[2:])
        async with capacity.hold("two", Resources(gpu=1)) as two:
            assert two.gpus == CARDS[2:]
        assert (await stack.enter_async_context(capacity.hold("three", Resources(gpu=1)))).gpus == CARDS[2:]
    assert capacity.free == capacity.total


async def test_no_more_run_at_once_than_are_allowed():
    capacity, inside, most = Capacity(Resources(cpu=2.0), 2), set(), []

    async def run(name):
        async with capacity.hold(name, Resources()):
            inside.add(name)
            most.append(len(inside))
            await asyncio.to_thread(int)
            inside.remove(name)

    await together(*(run(str(n)) for n in range(8)))
    assert len(most) == 8 and max(most) == 2


async def test_who_finds_no_gpu_waits_for_one():
    capacity = machine()
    got = []

    async def need_two():
        async with capacity.hold("later", Resources(gpu=2)) as granted:
            got.append(granted.gpus)

    async with crew() as people:
        async with capacity.hold("one", Resources(gpu=2)):
            waiting = people.start(need_two())
            async with capacity.hold("no gpu", Resources()):
                assert got == []
        await waiting
    assert got == [CARDS[:2]]


async def test_after_a_restart_a_task_keeps_its_gpu_and_its_room():
    capacity = machine()
    capacity.adopt("old", Resources(cpu=2.0, gpu=1), CARDS[:1])
    assert capacity.free.lacks(Resources(cpu=0.5)) == ["needs 0.5 CPU, has 0"]
    async with capacity.hold("new", Resources(gpu=1)) as new:
        assert new.gpus == CARDS[1:2]
        async with capacity.hold("old", Resources(cpu=2.0, gpu=1)) as old:
            assert old.gpus == CARDS[:1]
    assert capacity.free == capacity.total
