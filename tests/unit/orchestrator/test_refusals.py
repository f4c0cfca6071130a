"""A node that refuses is passed over, without a wait and without an attempt lost; when nobody is left, its reason is the job's."""

from bacalhau.models.execution import ComputeStateType as C
from bacalhau.models.job_state import JobStateType as S
from bacalhau.orchestrator.scheduling.batch import plan_batch
from bacalhau.orchestrator.scheduling.retry import MAX_RETRIES, REFUSAL_HOLDS_NS
from bacalhau.ports.store import JobView
from tests.unit.orchestrator.make import NOW, SECOND, make_context, make_execution, make_job, make_seat


def plan(job, *executions, seats=(), now=NOW):
    return plan_batch(JobView(job, executions), make_context(*(seats or (make_seat(),)), now=now))


def refused(n=1, **how):
    return make_execution(n, state=C.ASK_FOR_BID_REJECTED, message="the probe says no", details={"Retryable": "true"}, **how)


def test_another_node_is_asked_at_once():
    made = plan(make_job(state=S.RUNNING), refused(), seats=(make_seat("n-1", cpu=8.0), make_seat("n-2")))
    assert [e.node_id for e in made.asks] == ["n-2"]


def test_refusals_are_no_attempts():
    seats = [make_seat(f"n-{n}") for n in range(1, MAX_RETRIES + 4)]
    said_no = [refused(n, node=f"n-{n}") for n in range(1, MAX_RETRIES + 3)]
    assert [e.node_id for e in plan(make_job(), *said_no, seats=seats).asks] == [seats[-1].node_id]


def test_when_nobody_is_left_the_job_fails_with_the_reason():
    made = plan(make_job(), refused())
    assert made.job.state.state_type == S.FAILED
    assert made.job.state.message == "no node can run docker: n-1: the probe says no"


def test_a_job_that_may_wait_waits_and_asks_again():
    job = make_job(queue=600)
    waits = plan(job, refused(), now=NOW + SECOND)
    assert waits.job.state.state_type == S.QUEUED
    assert waits.job.state.message == "waiting for capacity: n-1 the probe says no"
    assert waits.look_again == NOW + REFUSAL_HOLDS_NS
    assert [e.node_id for e in plan(job, refused(), now=waits.look_again).asks] == ["n-1"]
