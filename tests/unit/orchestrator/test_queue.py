"""The order in which jobs are looked at, who is woken, and for whom a node is kept free."""

import tracemalloc

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.execution import ComputeState, RunCommandResult
from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import JobState
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.retry import FAILURE_KIND, NODE_LOST
from bacalhau.models.job.state import JobStateType as S
from bacalhau.models.wire.messages import BidResult, ComputeError, RunResult
from bacalhau.orchestrator.messages.ends import note_end, wants_end
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.steps import Context
from bacalhau.orchestrator.scheduling.view import Claim, queue_order
from bacalhau.orchestrator.state.queue import WAKE_AT_ONCE, EvaluationQueue
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

SMALL, LARGE = Resources(cpu=1.0), Resources(cpu=4.0)


def named(job_id, *, priority=0, created=NOW, **how):
    return replace(make_job(created=created, **how), id=job_id, priority=priority)


async def taken(queue):
    return await queue.take(1000)


def block(queue, job_id, need=SMALL, **how):
    return queue.block(named(job_id, **how), need, need.cpu, NOW)


async def test_asking_twice_is_one_look_and_one_look_at_a_time():
    queue = EvaluationQueue()
    queue.add("j-1")
    queue.add("j-1")
    assert await taken(queue) == ["j-1"]
    queue.add("j-1")
    queue.add("j-2")
    assert await taken(queue) == ["j-2"]
    queue.done("j-1")
    assert await taken(queue) == ["j-1"]


async def test_the_first_of_each_shape_that_may_fit_are_woken_in_order():
    queue = EvaluationQueue()
    for number in range(WAKE_AT_ONCE + 4):
        block(queue, f"j-small{number:02}", created=NOW + number)
    block(queue, "j-large", LARGE, priority=9)
    queue.wake(lambda need: need.cpu <= 2)
    assert sorted(await taken(queue)) == [f"j-small{number:02}" for number in range(WAKE_AT_ONCE)]
    queue.wake(lambda need: need.cpu > 2)
    assert await taken(queue) == ["j-large"]


def test_the_place_in_the_queue_is_by_priority_then_age():
    queue = EvaluationQueue()
    block(queue, "j-old", created=NOW - SECOND)
    block(queue, "j-urgent", LARGE, priority=5)
    block(queue, "j-new")
    assert [queue.position(j) for j in ("j-urgent", "j-old", "j-new", "j-other")] == [1, 2, 3, 0]
    assert queue.is_first("j-urgent") and not queue.is_first("j-old")
    queue.unblock("j-urgent")
    assert queue.is_first("j-old") and queue.waiting == 2


async def test_who_waits_for_a_node_to_join_stands_in_nobodys_way_until_nodes_change():
    queue = EvaluationQueue()
    block(queue, "j-hopeless", LARGE, created=NOW - SECOND)
    block(queue, "j-next")
    assert not queue.is_first("j-next")
    queue.stand_back("j-hopeless")
    assert queue.is_first("j-next") and [queue.position(j) for j in ("j-hopeless", "j-next")] == [0, 1]
    assert sorted(await taken(queue)) == ["j-hopeless", "j-next"]
    queue.stand_back("j-hopeless")
    for job_id in ("j-hopeless", "j-next"):
        queue.done(job_id)
    queue.add("j-other")
    assert await taken(queue) == ["j-other"]  # nobody is woken twice
    queue.wake_all()
    assert not queue.is_first("j-next") and queue.position("j-hopeless") == 1


def test_a_new_priority_is_a_new_place_and_the_time_of_waiting_stays():
    queue = EvaluationQueue()
    first = block(queue, "j-1")
    block(queue, "j-2", priority=1)
    changed = queue.block(named("j-1", priority=2), SMALL, SMALL.cpu, NOW + 60 * SECOND)
    assert (changed.since, queue.position("j-1")) == (first.since, 1)


async def test_what_runs_everywhere_is_looked_at_when_nodes_change_until_it_ends():
    queue = EvaluationQueue()
    queue.note(make_job(kind="daemon", state=S.RUNNING))
    block(queue, "j-2")
    queue.wake_all()
    assert sorted(await taken(queue)) == ["j-1", "j-2"]
    queue.note(make_job(kind="daemon", state=S.STOPPED))
    queue.unblock("j-2")
    queue.done("j-1")
    queue.wake_all()
    queue.add("j-3")
    assert await taken(queue) == ["j-3"]


async def test_what_stood_back_is_looked_at_when_the_one_before_is_placed():
    queue = EvaluationQueue()
    queue.claim = Claim("n-1", block(queue, "j-large", LARGE).order[2], (0, NOW, "j-large"))
    block(queue, "j-small")
    queue.unblock("j-large")
    assert queue.claim is None and await taken(queue) == ["j-small"]


def test_a_node_that_is_kept_takes_nobody_else_but_who_comes_before():
    claimant = named("j-large", cpu="4", priority=1, created=NOW - 60 * SECOND)
    claim = Claim("n-1", "j-large", queue_order(claimant))

    def asks(job, free):
        around = Context(Candidates([make_candidate(cpu=4.0, free=free)]), NOW, make_context().new_ids, claim=claim)
        return plan_job(JobView(job, ()), around)

    later = asks(named("j-small", priority=1), 1.0)
    assert not later.asks and later.waiting == "waiting for capacity: n-1 is kept for job j-large, which waits longer"
    assert len(asks(named("j-urgent", priority=2), 1.0).asks) == 1
    assert len(asks(claimant, 4.0).asks) == 1


def test_the_end_of_what_was_stopped_is_noted_once_with_its_output():
    stopped = make_execution(state=C.CANCELLED, message="stopped")
    told = ComputeError(execution_id="e-1", run_command_result=RunCommandResult(stdout="early\n", exit_code=137))
    assert wants_end(stopped, told) and wants_end(stopped, RunResult()) and not wants_end(stopped, BidResult())
    ended, events = note_end(stopped, told)
    assert (ended.state, ended.compute_state.message, ended.run_output.stdout) == (C.CANCELLED, "stopped", "early\n")
    assert ended.compute_state.details["ExitCode"] == "137" and ended.compute_state.details["EndedAt"] and events
    assert (ended.revision, ended.modify_time) == (stopped.revision + 1, stopped.modify_time)
    assert not wants_end(ended, told)


def test_the_end_of_what_went_down_with_its_node_is_noted_and_of_other_failures_not():
    lost = make_execution(state=C.FAILED, details={FAILURE_KIND: NODE_LOST})
    assert wants_end(lost, ComputeError())
    assert not wants_end(replace(lost, compute_state=ComputeState(state_type=C.FAILED)), ComputeError())
    assert not wants_end(make_execution(state=C.COMPLETED), ComputeError())


async def test_a_job_that_ended_is_not_timed_any_more():
    """Its time limit may be days away, and a busy server ends millions of jobs until then."""
    queue, soon = EvaluationQueue(), now_ns() + 20_000_000
    queue.add("j-lives", soon)
    queue.add("j-lives", soon + 1)
    tracemalloc.start()
    for number in range(20_000):
        job_id = f"j-{number:036}"
        queue.add(job_id, soon + number)
        queue.add(job_id, soon + 3600 * SECOND)
        queue.note(replace(named(job_id), state=JobState(state_type=S.COMPLETED)))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1_000_000
    assert await taken(queue) == ["j-lives"]
    assert queue.is_quiet
