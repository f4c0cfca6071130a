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
from bacalhau.orchestrator.scheduling.shares import Shares
from bacalhau.orchestrator.scheduling.steps import Context
from bacalhau.orchestrator.scheduling.view import Claim
from bacalhau.orchestrator.state.line import Standing, Turn, Waiting
from bacalhau.orchestrator.state.queue import PATIENCE, EvaluationQueue
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

SMALL, LARGE = Resources(cpu=1.0), Resources(cpu=4.0)
MINUTE = 60 * SECOND


def a_queue(*candidates, weights=None, ageing=0):
    found, shares = Candidates(candidates), Shares(weights)
    for candidate in candidates:
        shares.put_node(candidate.node_id, candidate.node.info.compute.max_capacity)
    return EvaluationQueue(found, shares, ageing), found, shares


def named(job_id, *, priority=0, created=NOW, namespace="default", **how):
    return replace(make_job(created=created, **how), id=job_id, priority=priority, namespace=namespace)


def wait(queue, job_id, need=SMALL, *, now=NOW, **how):
    job = named(job_id, cpu=f"{need.cpu:g}", **how)
    queue.keep_waiting(Waiting(job, need, need.cpu, job.submitted), now)


def asked(queue):
    jobs = queue.asked(1000)
    assert all(queue.take(job_id) for job_id in jobs)
    return jobs


def turns(queue, now=NOW):
    """Who is tried, one after the other, where nobody takes anything: then none of its line."""
    found = []
    while turn := queue.next_turn(now):
        found.append(turn.job_id)
        queue.exhaust(turn.job_id)
    return found


def test_asking_twice_is_one_evaluation_and_one_at_a_time():
    queue, _, _ = a_queue()
    queue.add("j-1")
    queue.add("j-1")
    assert asked(queue) == ["j-1"]
    queue.add("j-1")
    queue.add("j-2")
    assert asked(queue) == ["j-2"]
    queue.done("j-1")
    assert asked(queue) == ["j-1"]


def test_when_a_node_has_room_only_the_first_of_each_line_that_fits_there_is_evaluated():
    queue, candidates, _ = a_queue(make_candidate("n-1", cpu=4.0, free=0.0), make_candidate("n-2", cpu=4.0, free=2.0))
    for number in range(3):
        wait(queue, f"j-small{number}", created=NOW + number)
    wait(queue, "j-large", LARGE, priority=9)
    assert queue.is_idle and turns(queue) == []
    candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=1.0))
    assert not queue.is_idle and turns(queue) == ["j-small0"] and queue.is_idle
    queue.done("j-small0")
    candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=4.0))
    assert turns(queue) == ["j-large", "j-small0"]


def test_who_left_the_line_is_in_nobodys_way():
    """The heads of the line end before their turn comes, and what stands behind them is reached all the same."""
    queue, candidates, _ = a_queue(make_candidate("n-1", cpu=4.0, free=0.0))
    for number in range(100):
        wait(queue, f"j-{number:03}", created=NOW + number)
    for number in range(99):
        queue.leave(f"j-{number:03}")
    candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=1.0))
    assert turns(queue) == ["j-099"]


def test_nobody_overtakes_a_job_whose_evaluation_is_under_way():
    queue, candidates, _ = a_queue(make_candidate("n-1", cpu=4.0, free=0.0))
    wait(queue, "j-1")
    wait(queue, "j-2", created=NOW + 1)
    with queue.evaluating("j-1"):
        candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=1.0))
        assert turns(queue) == [] and queue.is_held_up and not queue.is_due(NOW)
    assert queue.is_due(NOW) and turns(queue) == ["j-1"]


def test_the_place_in_the_queue_is_by_priority_then_age():
    queue, _, _ = a_queue()
    wait(queue, "j-old", created=NOW - SECOND)
    wait(queue, "j-urgent", LARGE, priority=5)
    wait(queue, "j-new")
    assert [queue.position(j) for j in ("j-urgent", "j-old", "j-new", "j-other")] == [1, 2, 3, 0]
    queue.leave("j-urgent")
    assert queue.position("j-old") == 1 and queue.waiting == 2


def test_a_parked_job_is_in_nobodys_way_until_nodes_change():
    queue, candidates, _ = a_queue()
    wait(queue, "j-hopeless", LARGE, created=NOW - SECOND)
    wait(queue, "j-next")
    queue.park("j-hopeless")
    assert [queue.position(j) for j in ("j-hopeless", "j-next")] == [0, 1]
    candidates.put(make_candidate("n-1", cpu=2.0))
    assert [queue.position(j) for j in ("j-hopeless", "j-next")] == [1, 2]
    assert sorted(asked(queue)) == ["j-hopeless", "j-next"]


def test_when_nodes_change_the_first_of_each_line_is_evaluated_and_the_next_only_where_that_one_left():
    queue, candidates, _ = a_queue()
    for number in range(3):
        wait(queue, f"j-{number}", created=NOW + number)
    candidates.put(make_candidate("n-1", free=0.0))
    assert asked(queue) == ["j-0"]
    queue.leave("j-0")
    assert asked(queue) == ["j-1"]
    wait(queue, "j-1", created=NOW + 1)
    queue.leave("j-1")
    assert asked(queue) == []


def test_a_new_priority_is_a_new_place():
    queue, _, _ = a_queue()
    wait(queue, "j-1")
    wait(queue, "j-2", priority=1)
    wait(queue, "j-1", priority=2)
    assert (queue.position("j-1"), queue.waiting) == (1, 2)


def test_of_equal_jobs_those_of_the_namespace_with_the_smaller_share_for_its_weight_come_first():
    queue, _, shares = a_queue(make_candidate("n-1", cpu=10.0), weights={"team-a": 3})
    wait(queue, "j-a", namespace="team-a")
    wait(queue, "j-b", namespace="team-b", created=NOW + 1)
    for _ in range(2):
        shares.take("team-a", "j-running", SMALL)
    assert queue.standing("j-a") == Standing(2, 0, 0.2, 3.0)
    shares.take("team-b", "j-other", SMALL)
    assert [queue.position(j) for j in ("j-a", "j-b")] == [1, 2]  # 0.2 / 3 and 0.1 / 1
    shares.give_back("team-b", "j-other", SMALL)
    assert [queue.position(j) for j in ("j-a", "j-b")] == [2, 1]
    assert queue.standing("j-b") == Standing(1, 0, 0.0, 1.0)


def test_a_job_with_many_executions_comes_after_the_small_ones_of_its_namespace():
    queue, candidates, shares = a_queue(make_candidate("n-1", cpu=10.0, free=0.0))
    wait(queue, "j-many", count=1000, created=NOW - SECOND)
    wait(queue, "j-small")
    assert queue.position("j-many") == 1
    shares.take("default", "j-many", SMALL)
    assert [queue.position(j) for j in ("j-small", "j-many")] == [1, 2]
    candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=6.0))
    assert queue.next_turn(NOW) == Turn("j-small")
    queue.leave("j-small")
    wait(queue, "j-medium", count=10, created=NOW + 1)
    shares.take("default", "j-medium", SMALL)
    assert queue.next_turn(NOW) == Turn("j-many", 3)  # of six places; the rest when the order was looked at again


def test_a_job_of_lower_priority_rises_while_it_waits_but_not_above_its_betters():
    queue, _, _ = a_queue(ageing=10 * MINUTE)
    wait(queue, "j-low")
    wait(queue, "j-high", priority=2, created=NOW + 1)
    for later, level in ((1, 0), (11, 1), (21, 2), (500, 2)):
        queue.next_turn(NOW + later * MINUTE)
        assert queue.standing("j-low").level == level
    assert queue.position("j-low") == 1  # the older of two on one level
    queue.leave("j-high")
    wait(queue, "j-new", created=NOW + 500 * MINUTE)
    assert queue.standing("j-low").level == 0  # among equals the shares decide, not the age


def test_what_runs_everywhere_is_evaluated_when_nodes_change_until_it_ends():
    queue, candidates, _ = a_queue()
    queue.note(make_job(kind="daemon", state=S.RUNNING))
    candidates.put(make_candidate("n-1"))
    assert asked(queue) == ["j-1"]
    queue.note(make_job(kind="daemon", state=S.STOPPED))
    queue.done("j-1")
    candidates.drop("n-1")
    assert asked(queue) == []


def test_a_node_that_was_kept_is_offered_to_others_when_the_job_has_its_place():
    queue, candidates, _ = a_queue(make_candidate("n-1", cpu=4.0, free=1.0))
    wait(queue, "j-large", LARGE)
    wait(queue, "j-small", created=NOW + 1)
    wait(queue, "j-urgent", Resources(cpu=2.0), priority=1)
    queue.keep(Claim("n-1", "j-large"))
    candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=2.0))
    assert turns(queue) == ["j-urgent"]  # who is more urgent may still use it
    candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=3.0))
    queue.done("j-urgent")
    queue.leave("j-urgent")
    assert turns(queue) == []
    candidates.set_free("n-1", replace(candidates.by_id["n-1"].free, cpu=4.0))
    assert turns(queue) == ["j-large"]
    queue.leave("j-large")
    assert queue.claim is None and turns(queue) == ["j-small"]


def test_the_claimant_is_tried_on_its_own_node_and_where_else_there_may_be_room():
    kept, other = make_candidate("n-1", cpu=4.0, free=0.0), make_candidate("n-2", cpu=4.0, free=0.0)
    queue, found, _ = a_queue(kept, other)
    wait(queue, "j-large", LARGE)
    queue.keep(Claim("n-1", "j-large"))
    assert turns(queue) == []
    for node_id in ("n-2", "n-1"):
        found.set_free(node_id, replace(kept.free, cpu=4.0))
    assert queue.next_turn(NOW).job_id == "j-large"


def test_who_comes_first_for_long_is_nominated_once_and_a_node_that_shuts_is_not_kept():
    queue, candidates, _ = a_queue(make_candidate("n-1", cpu=4.0, free=1.0))
    wait(queue, "j-large", LARGE)
    assert not queue.is_due(NOW + PATIENCE - 1) and queue.is_due(NOW + PATIENCE)
    assert (queue.nominee, asked(queue)) == ("j-large", ["j-large"])
    queue.keep(Claim("n-1", "j-large"))
    queue.nominee = ""
    queue.done("j-large")
    assert turns(queue) == [] and not queue.is_due(NOW + 2 * PATIENCE)
    candidates.put(make_candidate("n-1", cpu=4.0, free=1.0, connected=False))
    assert queue.claim is None


def test_a_node_that_is_kept_takes_nobody_else():
    claim, claimant = Claim("n-1", "j-large"), named("j-large", cpu="4", created=NOW - 60 * SECOND)

    def asks(job, free, claim):
        around = Context(Candidates([make_candidate(cpu=4.0, free=free)]), NOW, make_context().new_ids, claim=claim)
        return plan_job(JobView(job, ()), around)

    later = asks(named("j-small"), 1.0, claim)
    assert not later.asks and later.waiting == "waiting for capacity: n-1 is kept for job j-large, which waits longer"
    assert len(asks(claimant, 4.0, None).asks) == 1


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
    (queue, _, _), soon = a_queue(), now_ns() + 20_000_000
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
    await queue.wait()
    assert asked(queue) == ["j-lives"] and queue.is_idle
