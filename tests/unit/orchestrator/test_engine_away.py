"""An engine that a node cannot reach costs no attempt: the job waits until a node has one, and says for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.retry import ENGINE_AWAY, FAILURE_KIND, RetryPolicy
from bacalhau.models.job.state import JobStateType as S
from bacalhau.orchestrator.scheduling.schedule import plan_job
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

GONE = "cannot reach the Docker API at unix:///run/docker.sock: connection refused"
DETAILS = {FAILURE_KIND: ENGINE_AWAY, "Retryable": "true"}
KINDS = ("batch", "service", "ops", "daemon")


def plan(job, executions, *candidates, now=NOW):
    return plan_job(JobView(job, executions), make_context(*candidates, now=now))


def away(n=1, **how):
    return make_execution(n, state=C.FAILED, message=GONE, details=DETAILS, **how)


def without_engine(name="n-1"):
    return make_candidate(name, engines=(), unavailable={"docker engine": GONE})


@pytest.mark.parametrize("kind", KINDS)
@given(count=st.integers(1, 30), told=st.booleans())
def test_no_number_of_such_failures_ends_a_job(kind, count, told):
    job = make_job(kind=kind, state=S.RUNNING, retry=RetryPolicy(max=0))
    failed = [away(n, at=NOW + n * 60 * SECOND) for n in range(count)]
    last = failed[-1].modify_time
    made = plan(job, failed, without_engine() if told else make_candidate(), now=last + SECOND)
    assert not made.asks and (made.job is None or not made.job.is_done)
    assert GONE in made.waiting or kind == "daemon"
    assert told or last + SECOND < made.next_evaluation <= last + 60 * SECOND
    back = plan(job, failed, make_candidate(), now=last + 60 * SECOND)
    assert [e.node_id for e in back.asks] == ["n-1"]


def test_another_node_takes_it_at_once():
    made = plan(make_job(state=S.RUNNING), [away()], make_candidate("n-1"), make_candidate("n-2"))
    assert [e.node_id for e in made.asks] == ["n-2"]


def test_the_state_says_what_is_waited_for():
    made = plan(make_job(state=S.RUNNING), [away()], make_candidate())
    assert made.job.state.state_type == S.QUEUED and GONE in made.job.state.message
    assert made.next_evaluation == NOW + 2 * SECOND


def test_its_time_limit_ends_it_all_the_same():
    made = plan(make_job(state=S.RUNNING, total=5), [away()], without_engine(), now=NOW + 6 * SECOND)
    assert made.job.state.state_type == S.FAILED
    made = plan(make_job(state=S.QUEUED, queue=5), [away()], without_engine(), now=NOW + 6 * SECOND)
    assert made.job.state.state_type == S.FAILED and GONE in made.job.state.message


def test_other_failures_count_as_before():
    other = make_execution(2, state=C.FAILED, message="bad image", details={FAILURE_KIND: "pull"}, at=NOW + SECOND)
    assert plan(make_job(state=S.RUNNING), [away(), other], make_candidate()).job.state.state_type == S.FAILED
