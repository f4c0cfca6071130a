"""A new version of what runs takes no more of the old one down than it can replace."""

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
from bacalhau.orchestrator.scheduling.spent import list_spent
from bacalhau.orchestrator.scheduling.steps import UPDATED
from bacalhau.orchestrator.state.board import Board
from bacalhau.ports.store import Limits
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

COUNT = 10
STEP = 2
KINDS = ("service", "daemon", "ops")
HELD_UP = "version 2 fails in 2 of 2 places, so the roll-out is held up and what ran before runs on in 8"


class Run:
    """A job of ten places in its first version, which is evaluated in its second one again and again."""

    def __init__(self, kind, **how):
        self.free, self.sizes = how.pop("free", 64.0), {}
        self.job = make_job(kind=kind, count=COUNT if kind == "service" else 0, version=2, state=S.PENDING, **how)
        old = (self.make(n, node=f"n-{n:02}", partition=n if kind == "service" else 0) for n in range(COUNT))
        self.executions, self.now, self.looks, self.is_preparing = {e.id: e for e in old}, NOW, 0, None
        self.history = []

    def make(self, n, **how):
        return make_execution(n, at=NOW - SECOND, **how)

    def context(self):
        sizes = ((f"n-{n:02}", self.sizes.get(n, 64.0)) for n in range(COUNT))
        nodes = (make_candidate(name, cpu=size, free=min(size, self.free)) for name, size in sizes)
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
            self.history += (entry.event.message for entry in made.history)
        return self.live(1), self.live(2)

    def live(self, version):
        return sum(e.is_live and e.job_version == version for e in self.executions.values())

    def fail_new(self, most=COUNT):
        bad = {FAILURE_KIND: ENDED, "Retryable": "true"}
        self.end(2, C.FAILED, most, message="bad", details=bad)

    def end(self, version, state, most=COUNT, **how):
        live = [e for e in self.executions.values() if e.is_live and e.job_version == version]
        self.executions |= {e.id: e.moved(state, self.now, **how) for e in live[:most]}


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
    assert HELD_UP in explain_view(run.view(), run.context()).message


@pytest.mark.parametrize("kind", KINDS)
def test_state_and_history_tell_once_that_a_rollout_is_held_up_and_once_that_it_goes_on(kind):
    run = Run(kind)
    run.look(1)
    run.fail_new()
    run.look(1)
    assert (run.job.state.state_type, run.job.state.message) == (S.RUNNING, HELD_UP)
    assert run.look(1) == (COUNT - STEP, STEP)  # another attempt
    run.look(3 * COUNT)
    assert run.job.state.message == "" and run.live(2) == COUNT
    told = [text for text in run.history if text.startswith("Roll-out")]
    assert told == [f"Roll-out held up. {HELD_UP}", "Roll-out goes on"]


@pytest.mark.parametrize("kind", ["service", "daemon"])
def test_a_rollout_that_nothing_stands_before_any_more_is_not_told_as_held_up(kind):
    run = Run(kind)
    run.look(1)
    run.fail_new()
    run.look(1)
    assert run.job.state.message == HELD_UP
    run.end(1, C.COMPLETED)
    assert run.look(4) == (0, COUNT) and run.job.state.message == ""


@pytest.mark.parametrize("kind", KINDS)
def test_another_attempt_must_run_for_longer_than_the_one_that_failed_before_the_next_step(kind):
    run = Run(kind)
    run.look(1)
    run.now += 2 * SECOND
    run.fail_new()  # after 3 s
    run.now += SECOND
    assert run.look(4) == (COUNT - STEP, STEP)
    assert run.look(1) == (COUNT - 2 * STEP, 2 * STEP)


@pytest.mark.parametrize("kind", ["daemon", "ops"])
def test_one_broken_node_of_many_holds_nobody_up(kind):
    run = Run(kind)
    run.look(2)
    run.fail_new(most=1)
    assert run.look(20)[0] == 0


@pytest.mark.parametrize("kind", ["daemon", "ops"])
def test_nodes_that_are_too_small_for_the_new_version_hold_nobody_up(kind):
    run = Run(kind, cpu="8")
    run.sizes = dict.fromkeys(range(STEP + 1), 4.0)
    assert run.look(3 * COUNT) == (0, COUNT - STEP - 1)


def test_an_ops_job_whose_new_version_fails_starts_it_nowhere_else_and_fails_when_the_old_one_has_ended():
    run = Run("ops")
    run.job = replace(run.job, submit_time=NOW - SECOND // 2)
    run.look(1)
    run.end(2, C.FAILED, message="no such image")
    assert run.look(2) == (COUNT - STEP, 0) and run.job.state.state_type is S.RUNNING
    run.end(1, C.COMPLETED, most=5)
    assert run.look(2) == (3, 0)
    assert "what ran before runs on in 3; 5 more wait for it" in run.job.state.message
    after_an_hour = list_spent(run.view(), Limits(keep=1), frozenset(), run.now + 3600 * SECOND)
    assert all(e.compute_state.message == UPDATED for e in after_an_hour)  # what the roll-out goes by is not forgotten
    run.end(1, C.COMPLETED)
    assert run.look(2) == (0, 0)
    assert run.job.state.message == (
        "2 of 2 executions failed: no such image; version 2 was not started on 8 more nodes"
    )
    run.job = replace(run.job.moved(S.PENDING, run.now), version=3, submit_time=run.now)
    run.look(1)
    assert sum(e.job_version == 3 for e in run.executions.values()) == COUNT


def test_an_ops_job_reaches_nodes_whose_old_execution_has_ended_in_the_same_steps():
    run = Run("ops")
    run.job = replace(run.job, submit_time=NOW - SECOND // 2)
    run.end(1, C.COMPLETED, most=4)
    for done in range(STEP, COUNT, STEP):
        run.look(1)
        assert sum(e.job_version == 2 for e in run.executions.values()) == done
        run.end(2, C.COMPLETED)
        assert run.job.state.state_type is S.RUNNING
    run.look(2)
    run.end(2, C.COMPLETED)
    run.look(1)
    assert run.job.state.state_type is S.COMPLETED


@pytest.mark.parametrize(
    ("kind", "count"), [("service", COUNT), ("service", COUNT + 3), ("daemon", COUNT), ("ops", COUNT)]
)
def test_a_version_that_no_node_could_ever_take_leaves_all_of_the_old_one_running(kind, count):
    run = Run(kind, cpu="1000")
    run.job = replace(run.job, count=count if kind == "service" else 0)
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
