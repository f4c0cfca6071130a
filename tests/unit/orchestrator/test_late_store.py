"""A store that answers late and in any order, and callers that are cancelled: the rules of jobs and executions hold."""

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.models.execution.execution import ComputeStateType
from bacalhau.models.job.job import EVERYWHERE
from bacalhau.orchestrator.evaluation.evaluator import evaluate_some
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from tests.unit.orchestrator.house import open_house, wanted

INDEX = st.integers(0, 99)
NODES = ["n-1", "n-2"]


class LateStore:
    """Does everything at once, as the store it wraps, and says so when it is let. A dead one does and says nothing."""

    def __init__(self, store):
        self.store, self.is_late, self.is_dead = store, True, False
        self.working, self.late = 0, []

    def __getattr__(self, name):
        method = getattr(self.store, name)

        async def call(*args):
            if self.is_dead:
                raise Unavailable("the process has ended")
            self.working += 1
            try:
                outcome = await method(*args)
            except BacalhauError as e:
                outcome = e
            finally:
                self.working -= 1
            if self.is_late:
                turn = asyncio.get_running_loop().create_future()
                self.late.append(turn)
                await turn
            if self.is_dead:
                raise Unavailable("the process has ended")
            if isinstance(outcome, BacalhauError):
                raise outcome
            return outcome

        return call

    async def calm(self):
        """Nothing happens any more without another answer."""
        for _ in range(8):
            while self.working:
                await self.turn()
            await self.turn()

    async def turn(self):
        passed = asyncio.Event()
        asyncio.get_running_loop().call_soon(passed.set)
        await passed.wait()

    async def die(self):
        """The process that uses the store ends: what was written stays, and nobody hears of it."""
        self.is_dead = True
        await self.answer_all()

    async def answer_all(self):
        self.is_late = False
        while self.late:
            self.answer(0)
            await self.calm()

    def answer(self, index):
        turns = [turn for turn in self.late if not turn.done()]
        if turns:
            turns[index % len(turns)].set_result(None)
        self.late = [turn for turn in turns if not turn.done()]


class Walk(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.house = self.run(self.stack.enter_async_context(open_house(Path(self.folder.name))))
        self.orch, self.count = self.house.orch, 0
        for node_id in NODES:
            self.run(self.house.join(node_id))
        self.late = self.orch.store = LateStore(self.orch.store)
        self.callers, self.evaluator = [], None

    def run(self, work):
        return self.runner.run(work)

    def begin(self, work):
        """Let somebody begin something, and go on as far as possible without an answer of the store."""
        self.callers.append(self.run(self.started(work)))

    async def started(self, work):
        task = asyncio.create_task(self.tried(work))
        await self.late.calm()
        return task

    async def tried(self, work):
        with suppress(BacalhauError):  # refused in words
            await work

    async def everything(self, what):
        return await getattr(self.late.store, what)()

    def one_of(self, things, index):
        things = list(things)
        return things[index % len(things)] if things else None

    def executions(self):
        """The live executions as the nodes know them, from the store itself."""
        return self.run(self.everything("list_live_executions"))

    def jobs(self):
        return self.run(self.everything("list_open_jobs"))

    @rule(count=st.sampled_from([1, 2, 6]), kind=st.sampled_from(["batch", "batch", "service", "ops", "daemon"]))
    def submit(self, count, kind):
        self.count += 1
        job = wanted(f"job-{self.count}", count=count, kind=kind)
        self.begin(submit_job(self.orch, job, force=False, warnings=()))

    @rule(index=INDEX)
    def update(self, index):
        job = self.one_of(self.jobs(), index)
        if job:
            new = wanted(job.name, count=job.wanted or 1, kind=job.type, priority=job.priority + 1)
            self.begin(submit_job(self.orch, new, force=True, warnings=()))

    @rule(index=INDEX, message=st.sampled_from(["done", "done", "failed", "refused"]))
    def report(self, index, message):
        execution = self.one_of(self.executions(), index)
        if execution:
            self.begin(self.house.tell(execution, message))

    @rule(index=INDEX)
    def stop(self, index):
        job = self.one_of(self.jobs(), index)
        if job:
            self.begin(stop_job(self.orch, job.id, "default", "a test"))

    @rule(index=INDEX)
    def rerun(self, index):
        job = self.one_of(self.jobs(), index)
        if job:
            self.begin(rerun_job(self.orch, job.id, "default", 0, "a test"))

    @rule(index=INDEX)
    def forget_view(self, index):
        job = self.one_of(self.jobs(), index)
        if job:
            self.orch.views.forget(job.id)

    @rule()
    def evaluate(self):
        if self.evaluator is None or self.evaluator.done():
            self.evaluator = self.run(self.started(evaluate_some(self.orch)))
            self.callers.append(self.evaluator)

    @rule(index=INDEX)
    def cancel(self, index):
        caller = self.one_of((c for c in self.callers if not c.done() and c is not self.evaluator), index)
        if caller:
            caller.cancel()
            self.run(self.late.calm())

    @rule(index=INDEX)
    def answer(self, index):
        self.late.answer(index)
        self.run(self.late.calm())

    answer_again = rule(index=INDEX)(lambda self, index: self.answer(index))

    async def finish(self):
        await self.late.answer_all()
        for outcome in await asyncio.gather(*self.callers, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), repr(outcome)
        await self.house.settle()

    def teardown(self):
        try:
            self.run(self.finish())
            self.run(self.check())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    async def check(self):
        store = self.late.store
        jobs = {job.id: job for job in await store.list_open_jobs()}
        live = await store.list_live_executions()
        assert {e.job_id for e in live} <= jobs.keys(), "a job that has ended has a live execution"
        slots = Counter(
            (e.job_id, e.job_version, e.node_id if jobs[e.job_id].type in EVERYWHERE else e.partition_index)
            for e in live
        )
        assert not [slot for slot, count in slots.items() if count > 1], "two live executions in one place"
        for job_id, view in (await store.load_views(list(jobs))).items():
            assert (await self.orch.views.load(store, [job_id]))[job_id] == view, "memory differs from the store"
        assert {e for node_id in NODES for e in self.orch.cluster.held_on(node_id)} == {e.id for e in live}
        assert not self.orch.placing
        for e in live:
            assert self.orch.outbox.lane(e.node_id).begins(e.id), "a node will not hear of an execution"
        for job in jobs.values():
            if job.type == "batch" and not any(e.job_id == job.id for e in live):
                assert await self.waits(job), f"nobody will go on with {job}"

    async def waits(self, job):
        """Whether the job has a reason to have nothing running: no room, or a pause before another attempt."""
        executions = await self.late.store.list_executions(job.id, 0)
        tried = any(e.state != ComputeStateType.COMPLETED for e in executions)
        return tried or sum(map(len, map(self.orch.cluster.held_on, NODES))) >= 4


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("step", range(4))
async def test_a_caller_that_is_cancelled_at_any_moment_leaves_store_and_memory_alike(tmp_path, step):
    async with open_house(tmp_path) as house:
        await house.join("n-1")
        late = house.orch.store = LateStore(house.orch.store)
        job = wanted("job-1", count=2)
        submission = submit_job(house.orch, job, force=False, warnings=())
        caller = asyncio.create_task(submission)
        await late.calm()
        for _ in range(step):
            late.answer(0)
            await late.calm()
        caller.cancel()
        await late.calm()
        await late.answer_all()
        with suppress(asyncio.CancelledError):
            await caller
        await house.settle()
        live = await house.live()
        assert len(live) == 2 * len(await house.states())
        assert all(house.orch.outbox.lane(e.node_id).begins(e.id) for e in live)
        assert set(house.orch.cluster.held_on("n-1")) == {e.id for e in live}
