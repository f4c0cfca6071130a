"""Content that a job took by reuse stays as long as the job is known, whatever else is deleted, forgotten or old."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau.lib.errors import BacalhauError, NotFound
from bacalhau.models.wire.messages import InputAnswer, ResolveInputsRequest, ResolveInputsResponse
from bacalhau.orchestrator.jobs.delete import delete_job
from bacalhau.orchestrator.jobs.read import list_results
from bacalhau.orchestrator.retention.forget import Keeper
from bacalhau.orchestrator.state.limits import SECOND, Retention
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.ipfs.unixfs.build import V1, build
from bacalhau.ports.store import JobQuery
from tests.support.clock import MovedClock
from tests.unit.orchestrator.test_reusing import Bucket, asked, current, house_of
from tests.unit.orchestrator.test_taking import finish, opened, submit

AGE = 3600.0
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(0, 2)),
        st.tuples(st.just("delete"), st.integers(0, 9)),
        st.tuples(st.just("forget"), st.integers(1, 4)),
        st.tuples(st.just("age"), st.integers(1, 5)),
    ),
    min_size=4,
    max_size=14,
)


def grow_old(folder, seconds):
    """Let time pass for all content."""
    for path in (folder / "content").rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))


async def publish(orch, folder, number):
    """Put a folder of several blocks into the content store; return its CID."""
    tree = folder / f"tree-{number}"
    (tree / "below").mkdir(parents=True, exist_ok=True)
    (tree / "below" / "data").write_bytes(bytes([number]) * 300_000)
    (tree / "stdout").write_text(f"{number}")
    held = {str(cid): block for cid, block in build(tree, V1)}
    await orch.content.put(held)
    return list(held)


class Truthful(Bucket):
    """A node that finds the results which are in the content store."""

    def __init__(self, content):
        super().__init__()
        self._source = IpfsSource(content)

    async def ask(self, node_id, message, seconds=0):
        if not isinstance(message, ResolveInputsRequest):
            return await super().ask(node_id, message, seconds)
        return ResolveInputsResponse(inputs=tuple([await self._find(item) for item in message.inputs]))

    async def _find(self, item):
        try:
            await self._source.resolve(item.source)
        except BacalhauError as e:
            return InputAnswer(error=e.message)
        return InputAnswer()


class World:
    """A house whose jobs do one of three pieces of work, each with a result of its own."""

    def __init__(self, house, folder):
        self.house, self.orch, self.folder = house, house.orch, folder
        self.orch.bus = Truthful(self.orch.content)
        self.blocks, self.count = {}, 0

    async def run(self, work):
        self.count += 1
        task = {"env": {"WORK": str(work)}}
        job_id = await submit(self.house, asked(f"job-{self.count}", **task))
        job, _ = await current(self.house, job_id)
        if not job.is_done:
            held = await publish(self.orch, self.folder, work)
            self.blocks[held[-1]] = held
            await finish(self.house, job_id, held[-1])

    async def known(self):
        return await self.orch.store.list_jobs(JobQuery())

    async def delete(self, number):
        if jobs := await self.known():
            await delete_job(self.orch, jobs[number % len(jobs)].id, "default")

    async def forget(self, keep):
        """Forget what is too old or too many, as a process does that has just started."""
        limits = Retention(jobs_count=keep, content_age=AGE)
        await Keeper(self.orch.forgetting, self.orch.content, limits).forget()

    async def age(self, steps):
        grow_old(self.folder, steps * AGE / 4)

    async def check(self):
        """Hold that all that known jobs took of others can be fetched, block by block."""
        for job in await self.known():
            view = (await self.orch.views.load(self.orch.store, [job.id]))[job.id]
            for execution in (e for e in view.current() if e.reused):
                cid = execution.published_result.params["CID"]
                await self.orch.content.get_many(self.blocks[cid])
            if any(e.reused for e in view.current()):
                assert len((await list_results(self.orch, job.id)).items) == 2


async def walk(steps):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with opened(folder) as house:
            await house_of(house)
            world = World(house, folder)
            for step, number in steps:
                await getattr(world, step)(number)
            await world.forget(100)
            await world.check()


@settings(max_examples=10, deadline=None)
@given(STEPS)
def test_whatever_is_deleted_forgotten_or_old_what_known_jobs_took_by_reuse_is_there(steps):
    asyncio.run(walk(steps))


def test_content_that_only_a_taker_names_outlives_its_age_and_goes_with_the_taker():
    async def live():
        with tempfile.TemporaryDirectory() as name, MovedClock() as clock:
            folder = Path(name)
            async with opened(folder) as house:
                await house_of(house)
                world = World(house, folder)
                await world.run(0)
                await world.run(0)
                (cid,) = world.blocks
                first = (await world.known())[0]
                await delete_job(world.orch, first.id, "default")
                keeper = Keeper(world.orch.forgetting, world.orch.content, Retention(content_age=AGE))
                for _ in range(3):
                    clock.move(int(AGE * SECOND))
                    await keeper.forget()
                await world.check()
                grow_old(folder, AGE)  # to before the end of the job that took it
                (second,) = await world.known()
                await delete_job(world.orch, second.id, "default")
                with pytest.raises(NotFound):
                    await world.orch.content.get(cid)

    asyncio.run(live())
