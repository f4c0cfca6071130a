"""A new version of a service or daemon takes no more of the old one down than it can replace."""

import pytest
from msgspec.structs import replace

from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.retry import ENDED, FAILURE_KIND
from bacalhau.models.job.state import JobStateType as S
from bacalhau.models.wire.messages import Progress
from bacalhau.orchestrator.jobs.explain import explain_view
from bacalhau.orchestrator.scheduling.rollout import PAUSE_NS
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.steps import UPDATED
from bacalhau.orchestrator.state.board import Board
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

COUNT = 10
STEP = 2
KINDS = ("service", "daemon")


class Run:
    """A job of ten places in its first version, which is evaluated in its second one again and again."""

    def __init__(self, kind, **how):
        self.free = how.pop("free", 64.0)
        self.job = make_job(kind=kind, count=COUNT if kind == "service" else 0, version=2, state=S.PENDING, **how)
        old = (self.make(n, node=f"n-{n:02}", partition=n if kind == "service" else 0) for n in range(COUNT))
        self.executions, self.now, self.looks, self.is_preparing = {e.id: e for e in old}, NOW, 0, None

    def make(self, n, **how):
        return make_execution(n, at=NOW - SECOND, **how)

    def context(self):
        nodes = (make_candidate(f"n-{n:02}", cpu=64.0, free=self.free) for n in range(COUNT))
        more = {"is_preparing": self.is_preparing} if self.is_preparing else {}
        return make_context(*nodes, now=self.now, **more)

    def view(self):
        return JobView(self.job, tuple(self.executions.values()))

    def look(self, times):
        for _ in range(times):
            self.looks += 1
            made = plan_job(self.view(), self.context())
            asks = [replace(e, id=f"{e.id}-{self.looks}") for e in made.asks]
            self.executions |= {e.id: e for e in (*made.cancels, *asks)}
            self.job, self.now = made.job or self.job, self.now + PAUSE_NS
        return self.live(1), self.live(2)

    def live(self, version):
        return sum(e.is_live and e.job_version == version for e in self.executions.values())

    def fail_new(self):
        bad = {FAILURE_KIND: ENDED, "Retryable": "true"}
        new = (e for e in self.executions.values() if e.is_live and e.job_version == 2)
        self.executions |= {e.id: e.moved(C.FAILED, self.now, "bad", details=bad) for e in new}


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_that_finds_no_room_takes_one_step_down(kind):
    run = Run(kind, cpu="8", free=4.0)
    assert run.look(3 * COUNT) == (COUNT - STEP, 0)
    run.free = 64.0
    assert run.look(3 * COUNT) == (0, COUNT)


@pytest.mark.parametrize("kind", KINDS)
def test_no_further_step_is_taken_while_images_and_inputs_of_the_last_one_are_fetched(kind):
    run, board = Run(kind), Board()
    run.is_preparing = board.is_preparing
    run.look(1)
    new = [e for e in run.executions.values() if e.job_version == 2]
    assert len(new) == STEP
    for execution in new:
        board.put_progress(Progress(execution_id=execution.id, job_id=run.job.id, stage="pulling"))
    assert run.look(10) == (COUNT - STEP, STEP)
    board.put_progress(Progress(execution_id=new[0].id, job_id=run.job.id, stage="running"))
    assert run.look(10) == (0, COUNT)  # one that is slow holds up one place of each step


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_that_fails_is_held_up_and_explained(kind):
    run = Run(kind)
    for _ in range(COUNT):
        run.look(1)
        run.fail_new()
    assert run.live(1) == COUNT - STEP
    told = explain_view(run.view(), run.context()).message
    assert "version 2 fails in 2 of 2 places, so the roll-out is held up and what ran before runs on in 8" in told


@pytest.mark.parametrize("count", [COUNT, COUNT + 3])
def test_a_version_that_no_node_could_ever_take_leaves_all_of_the_old_one_running(count):
    run = Run("service", cpu="1000")
    run.job = replace(run.job, count=count)
    assert run.look(3 * COUNT) == (COUNT, 0)
    assert run.job.state.state_type is S.RUNNING
    told = explain_view(run.view(), run.context()).message
    assert "no node can run version 2: " in told and "what ran before runs on in 10" in told
    run.job = replace(run.job, tasks=make_job(cpu="1").tasks)
    assert run.look(3 * COUNT) == (0, count)


def test_a_node_that_left_in_the_middle_of_its_step_holds_nobody_up():
    run = Run("daemon")
    gone = run.executions["e-0"].moved(C.CANCELLED, NOW, UPDATED, why=UPDATED)
    run.executions["e-0"] = replace(gone, node_id="n-gone")
    assert run.look(3 * COUNT) == (0, COUNT)
