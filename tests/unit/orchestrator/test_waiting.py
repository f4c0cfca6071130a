"""No place stands idle while a job waits that fits, and no equal job is overtaken, whatever happens in which order."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.job.job import LabelSelectorRequirement
from bacalhau.models.job.state import JobStateType as S
from bacalhau.orchestrator.evaluation.evaluate import context_of
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.nodes.handshake import on_gone
from bacalhau.orchestrator.nodes.membership import NodeChange, change_node
from bacalhau.orchestrator.scheduling.schedule import plan_job
from tests.unit.orchestrator.house import open_house, wanted

NODES = ["n-1", "n-2", "n-3"]
INDEX = st.integers(0, 99)
IN_ZONE = (LabelSelectorRequirement(key="zone", operator="=", values=("a",)),)


class Walk(RuleBasedStateMachine):
    """What happens is collected, and then happens at once, beside the evaluator."""

    def __init__(self):
        super().__init__()
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.house = self.run(self.stack.enter_async_context(open_house(Path(self.folder.name))))
        self.orch, self.count, self.at_once = self.house.orch, 0, []
        self.refused = set()
        for node_id in NODES[:2]:
            self.run(self.house.join(node_id, labels={"zone": "a"} if node_id == "n-1" else {}))

    def run(self, work):
        return self.runner.run(work)

    def teardown(self):
        self.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def happens(self, work):
        self.at_once.append(work)

    @rule(
        cpu=st.sampled_from(["1", "1", "2", "4"]),
        count=st.sampled_from([1, 1, 1, 3, 12]),
        priority=st.sampled_from([0, 0, 1]),
        namespace=st.sampled_from(["default", "other"]),
        port=st.sampled_from([0, 0, 0, 8080]),
        kind=st.sampled_from(["batch", "batch", "batch", "service", "daemon", "ops"]),
        in_zone=st.booleans(),
        copies=st.integers(1, 12),
    )
    def submit(self, cpu, count, priority, namespace, port, kind, in_zone, copies):
        for _ in range(copies):
            self.count += 1
            job = wanted(
                f"job-{self.count}",
                cpu=cpu,
                count=count,
                port=port,
                kind=kind,
                namespace=namespace,
                priority=priority,
                constraints=IN_ZONE if in_zone else None,
            )
            self.happens(submit_job(self.orch, job, force=False, warnings=()))

    @rule(index=INDEX, message=st.sampled_from(["done", "done", "failed", "refused"]), several=st.integers(1, 6))
    def report(self, index, message, several):
        live = self.run(self.house.live())
        for number in range(min(several, len(live))):
            execution = live[(index + number) % len(live)]
            if message == "refused":
                self.refused.add(execution.job_id)
            self.happens(self.house.tell(execution, message))

    @rule(index=INDEX)
    def stop(self, index):
        jobs = self.run(self.orch.store.list_open_jobs())
        if jobs:
            self.happens(stop_job(self.orch, jobs[index % len(jobs)].id, "", "enough"))

    @rule(index=INDEX)
    def rerun(self, index):
        jobs = self.run(self.orch.store.list_open_jobs())
        if jobs:
            self.happens(rerun_job(self.orch, jobs[index % len(jobs)].id, "", 0, "again"))

    @rule(node_id=st.sampled_from(NODES), action=st.sampled_from(["cordon", "uncordon", "drain", "delete"]))
    def change(self, node_id, action):
        self.happens(change_node(self.orch, node_id, NodeChange(action)))

    @rule(node_id=st.sampled_from(NODES), cpu=st.sampled_from([4.0, 4.0, 6.0]), in_zone=st.booleans())
    def join(self, node_id, cpu, in_zone):
        self.happens(self.house.join(node_id, cpu, {"zone": "a"} if in_zone else {}))

    @rule(node_id=st.sampled_from(NODES))
    def leave(self, node_id):
        on_gone(self.orch, node_id)

    @rule(count=st.integers(1, 3))
    def overtake(self, count):
        self.orch.store.overtaking = count

    @rule()
    def now(self):
        self.run(self.all_at_once())
        self.run(self.nothing_waits_that_fits())
        self.nobody_was_overtaken()

    async def all_at_once(self):
        work, self.at_once = self.at_once, []
        results = await asyncio.gather(*work, self.house.settle(), return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException) and not isinstance(error, BacalhauError):
                raise error
        await self.house.settle()

    async def nothing_waits_that_fits(self):
        jobs = await self.orch.store.list_open_jobs()
        views = await self.orch.store.load_views([job.id for job in jobs])
        for view in views.values():
            plan = plan_job(view, context_of(self.orch, view.job))
            if plan.asks and self.orch.queue.is_due(now_ns()):  # a pause ended this moment
                return
            assert not plan.asks, f"{view.job.name} ({view.job.state.message}) fits on {plan.asks[0].node_id}"

    def nobody_was_overtaken(self):
        """Of single jobs that still wait: since they wait, no later one of their kind was started."""
        waits_since, started = {}, []
        for number, change in enumerate(self.orch.store.changes):
            for job in (*change.new_jobs, *change.jobs):
                waits_since.pop(job.id, None)
                if job.state.state_type == S.QUEUED and job.type == "batch" and job.wanted == 1:
                    waits_since[job.id] = (number, job)
                if job.id in (e.job_id for e in change.new_executions):
                    started.append((number, job))
        for since, waiting in waits_since.values():
            later = [job.name for at, job in started if at > since and is_before(waiting, job)]
            excused = waiting.id in self.refused or waiting.id in self.orch.store.overtaken
            assert excused or not later, f"{later} overtook {waiting.name}"


def is_before(first, second):
    alike = (first.namespace, first.task, first.constraints) == (second.namespace, second.task, second.constraints)
    return alike and first.priority >= second.priority and first.submitted < second.submitted


Walk.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestWalk = Walk.TestCase
