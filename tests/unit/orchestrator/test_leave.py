"""Which executions leave their node, how, and who is told."""

import msgspec
import pytest

from bacalhau.lib.clock import rfc3339
from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.retry import RetryPolicy
from bacalhau.models.job.state import JobStateType as S
from bacalhau.models.node.node import DISCONNECTED, PENDING, REJECTED, ConnectionState, Drain
from bacalhau.orchestrator.scheduling.leave import plan_departures
from bacalhau.orchestrator.scheduling.schedule import plan_job
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job


def candidate(node_id="n-1", *, drain=None, **changes):
    made = make_candidate(node_id, lost=changes.pop("lost", False))
    return made._replace(
        node=msgspec.structs.replace(made.node, **({"drain": drain, "cordoned": drain is not None} | changes))
    )


def told(node_id, execution_id):
    return False


def leaving(*candidates, job_type="batch", settled=True, now=NOW, undelivered=told):
    return plan_departures(
        JobView(make_job(kind=job_type), [make_execution()]),
        make_context(*candidates, now=now, settled=settled)._replace(is_undelivered=undelivered),
    )


def test_who_is_well_stays():
    assert leaving(candidate()).is_empty and leaving(candidate(cordoned=True)).is_empty


@pytest.mark.parametrize(("membership", "word"), [(REJECTED, "rejected"), (PENDING, "pending")])
def test_a_node_that_is_no_member_loses_its_work_at_once(membership, word):
    plan = leaving(candidate(membership=membership), settled=False)
    assert plan.cancels[0].state == C.FAILED
    assert plan.cancels[0].compute_state.message == f"execution was moved because node n-1 has been {word}"
    assert plan.history[0].event.details["Retryable"] == "true"


def test_a_lost_node_is_told_when_it_comes_back_but_a_deleted_one_is_nobody():
    assert [e.state for e in leaving(candidate(lost=True)).cancels] == [C.FAILED]
    assert [e.state for e in leaving(candidate("n-2")).updates] == [C.FAILED]
    assert leaving(candidate(lost=True), settled=False).is_empty and leaving(settled=False).is_empty


def test_a_drained_node_lets_batch_work_finish_until_its_deadline():
    patient = Drain(since=rfc3339(NOW))
    limited = Drain(since=rfc3339(NOW), deadline=rfc3339(NOW + SECOND))
    assert leaving(candidate(drain=patient)).is_empty and leaving(candidate(drain=limited)).is_empty
    moved = leaving(candidate(drain=limited), now=NOW + SECOND)
    assert [(e.state, e.compute_state.message) for e in moved.cancels] == [
        (C.CANCELLED, "execution was moved because node n-1 is being drained")
    ]


@pytest.mark.parametrize("job_type", ["service", "daemon"])
def test_a_drained_node_gives_up_what_never_ends_at_once(job_type):
    assert [e.state for e in leaving(candidate(drain=Drain(since=rfc3339(NOW))), job_type=job_type).cancels] == [
        C.CANCELLED
    ]


def test_drained_work_is_placed_elsewhere_in_the_same_look_and_counts_as_no_failure():
    due = candidate(drain=Drain(since=rfc3339(NOW), deadline=rfc3339(NOW)))
    plan = plan_job(JobView(make_job(state=S.RUNNING), (make_execution(),)), make_context(due, make_candidate("n-2")))
    assert [e.node_id for e in plan.asks] == ["n-2"] and len(plan.cancels) == 1 and plan.job is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"cordoned": True}, "is cordoned"), ({"drain": Drain(since=rfc3339(NOW))}, "is being drained")],
)
def test_a_cordoned_node_gets_nothing_new_and_the_job_says_why(changes, reason):
    plan = plan_job(JobView(make_job(), ()), make_context(candidate(**changes)))
    assert (plan.job.state.state_type, plan.job.state.message) == (S.QUEUED, f"waiting for capacity: n-1 {reason}")


def test_a_node_that_waits_for_approval_is_no_candidate():
    plan = plan_job(JobView(make_job(), ()), make_context(candidate(membership=PENDING)))
    assert plan.job.state.message == "waits for approval (n-1): no node can run docker"


@pytest.mark.parametrize(
    ("job_type", "state"),
    [("batch", C.CANCELLED), ("service", C.CANCELLED), ("daemon", C.CANCELLED), ("ops", C.FAILED)],
)
def test_what_never_reached_the_lost_node_has_not_failed(job_type, state):
    plan = leaving(
        candidate(lost=True),
        job_type=job_type,
        undelivered=lambda node_id, execution_id: (node_id, execution_id) == ("n-1", "e-1"),
    )
    assert [(e.state, e.compute_state.message) for e in plan.cancels] == [
        (state, f"node n-1 was lost {'while it ran' if job_type == 'ops' else 'before it heard of'} the job")
    ]


def test_an_attempt_that_never_started_is_not_one_of_those_the_job_allows():
    around = make_context(
        candidate(lost=True, connection_state=ConnectionState(status=DISCONNECTED)), make_candidate("n-2")
    )
    view = JobView(make_job(state=S.RUNNING, retry=RetryPolicy(max=0)), (make_execution(),))
    assert plan_job(view, around).job.state.state_type == S.FAILED
    moved = plan_job(view, around._replace(is_undelivered=lambda *_: True))
    assert moved.job is None and [e.node_id for e in moved.asks] == ["n-2"] and moved.next_evaluation == 0
