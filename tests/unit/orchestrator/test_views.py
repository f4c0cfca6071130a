"""Jobs at hand, as they were last written."""

import asyncio
import sys
import time
import weakref
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from bacalhau.lib.aio import background
from bacalhau.lib.scrap import A_STEP
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.state.views import Views
from tests.unit.orchestrator.make import make_candidate, make_context, make_execution, make_job
from tests.unit.store.samples import a_job, an_execution


def test_thousands_of_executions_of_one_job_are_noted_at_once():
    views, job = Views(), a_job(1)
    executions = tuple(an_execution(job, number) for number in range(4000))
    began = time.process_time()
    views.note(Change(new_jobs=(job,), new_executions=executions))
    assert time.process_time() - began < 0.2
    changed = replace(executions[7], revision=2)
    views.note(Change(executions=(changed,)))
    assert views.find(job.id, changed.id) == (changed, job)


class Counted(Execution, frozen=True, weakref=True, gc=True):
    """An execution whose end is seen."""


async def test_the_executions_of_a_large_job_are_freed_a_few_in_one_step():
    views, job, count, freed = Views(), a_job(1), 3 * A_STEP + 7, []
    fields = {name: getattr(an_execution(job, 0), name) for name in Execution.__struct_fields__}
    executions = [Counted(**(fields | {"id": f"e-{n}", "partition_index": n})) for n in range(count)]
    views.note(Change(new_jobs=(job,), new_executions=tuple(executions)))
    for number in range(count):
        done = executions[number].moved(ComputeStateType.COMPLETED, number)
        weakref.finalize(done, freed.append, number)
        views.note(Change(executions=(done,)))
    del executions, done
    async with background(views.scrap.drop_forever()):
        views.note(Change(jobs=(replace(job, revision=2, state=JobState(state_type=JobStateType.COMPLETED)),)))
        assert views.is_over(job.id)
        loop, steps, is_over = asyncio.get_running_loop(), [len(freed)], asyncio.Event()

        def note_step():
            steps.append(len(freed))
            loop.call_soon(note_step if len(freed) < count else is_over.set)

        loop.call_soon(note_step)
        await is_over.wait()
    assert max(after - before for before, after in pairwise([0, *steps])) <= A_STEP


FIGURES = ("count", "live_on", "outdated", "failed", "failures_on", "refused", "completed")


class NotedChanges(RuleBasedStateMachine):
    """A view that notes each change has the figures of one that counts everything anew."""

    def __init__(self):
        super().__init__()
        self.view = JobView(replace(a_job(1), version=2, count=6))
        assert self.view.tally.count == 0

    @rule(
        n=st.integers(0, 9),
        partition=st.integers(0, 7),
        state=st.sampled_from(sorted(set(ComputeStateType) - {ComputeStateType.UNDEFINED})),
        version=st.sampled_from((1, 2, 2)),
    )
    def write(self, n, partition, state, version):
        known = self.view.find(f"e-{n}")
        if known is not None:
            partition, version = known.partition_index, known.job_version
        written = make_execution(n, state=state, partition=partition, node=f"n-{n % 3}", version=version)
        self.view.note([written])

    @rule(numbers=st.sets(st.integers(0, 9)), state=st.sampled_from([*ComputeStateType][1:]))
    def try_out(self, numbers, state):
        known = [e for n in numbers if (e := self.view.find(f"e-{n}"))]
        before = self.view.executions
        changed = {e.id: replace(e, compute_state=ComputeState(state_type=state)) for e in known}
        with self.view.trial(changed.values()):
            assert self.view.executions == tuple(changed.get(e.id, e) for e in before)
            self.figures_are_those_of_a_new_count()
        assert self.view.executions == before

    @rule(count=st.integers(0, 7))
    def count_changes(self, count):
        self.view.job = replace(self.view.job, count=count)

    @invariant()
    def figures_are_those_of_a_new_count(self):
        view, new = self.view, JobView(self.view.job, self.view.executions)
        assert view == new
        for figure in FIGURES:
            assert getattr(view.tally, figure) == getattr(new.tally, figure), figure
        held = {e.partition_index for e in view.executions if e.is_live}
        done = {e.partition_index for e in view.current() if e.state == ComputeStateType.COMPLETED}
        assert list(view.tally.open_partitions()) == sorted(set(range(view.job.wanted)) - held - done)
        assert {e.id for e in view.live()} == {e.id for e in view.executions if e.is_live}


TestNotedChanges = NotedChanges.TestCase


def test_an_evaluation_of_a_large_job_costs_no_more_than_what_changed():
    """Counted in calls, because time depends on the machine."""
    job, nodes = make_job(count=20_000, cpu="0", state=JobStateType.RUNNING), 1000
    view = JobView(job, [make_execution(n, partition=n, node=f"n-{n % nodes}") for n in range(20_000)])
    around = make_context(*(make_candidate(f"n-{n}") for n in range(nodes)))
    plan_job(view, around)
    calls = 0

    def count(frame, event, _):
        nonlocal calls
        calls += event == "call"

    done = make_execution(7, state=ComputeStateType.COMPLETED, partition=7, node="n-7")
    sys.setprofile(count)
    try:
        view.note([done])
        plan = plan_job(view, around)
    finally:
        sys.setprofile(None)
    assert plan.is_empty and calls < 300 + nodes
