"""Of two attempts at a partition never both may publish."""

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.compute.remote.permit import VALID_NS
from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.state import JobStateType as S
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.state.permits import HOLD_NS, Permits
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job


def plan(permits, now, *executions):
    job = make_job(state=S.RUNNING, count=2)
    around = make_context(make_candidate("n-2"), now=now, fence=permits.fence(job.id, job.create_time))
    return plan_job(JobView(job, executions), around)


def test_what_was_stopped_begins_elsewhere_when_its_permit_has_run_out_or_its_node_told_the_end():
    stopped = make_execution(state=C.CANCELLED, node="n-1")
    permits = Permits()
    assert {e.partition_index for e in plan(permits, NOW, stopped).asks} == {0, 1}
    permits.grant(stopped.id, stopped.job_id, 0, NOW)
    held = plan(permits, NOW + VALID_NS, stopped)
    assert {e.partition_index for e in held.asks} == {1} and held.next_evaluation == NOW + HOLD_NS
    assert {e.partition_index for e in plan(permits, NOW + HOLD_NS, stopped).asks} == {0, 1}
    permits.end(stopped.id)
    assert {e.partition_index for e in plan(permits, NOW, stopped).asks} == {0, 1}


@given(st.lists(st.tuples(st.sampled_from(["grant", "leave", "plan", "end"]), st.integers(0, SECOND)), max_size=60))
def test_no_two_attempts_hold_a_valid_permit(steps):
    """A node acts on a permit for as long as `VALID_NS` after it was granted, or until it told the end."""
    permits, now, attempts = Permits(), NOW, [make_execution(1)]
    valid: dict[str, int] = {}
    for kind, passed in steps:
        now += passed
        last = attempts[-1]
        if kind == "grant" and last.is_live:
            permits.grant(last.id, last.job_id, 0, now)
            valid[last.id] = now + VALID_NS
        elif kind == "leave" and last.is_live:
            attempts[-1] = last.moved(C.CANCELLED, now, "drained")
        elif kind == "end" and not last.is_live:
            permits.end(last.id)
            valid.pop(last.id, None)
        elif kind == "plan" and any(e.partition_index == 0 for e in plan(permits, now, *attempts).asks):
            attempts.append(make_execution(len(attempts) + 1))
        assert sum(until > now for until in valid.values()) <= 1
