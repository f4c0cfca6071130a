"""When a job that waits is looked at again."""

from bacalhau.models.execution.view import JobView
from bacalhau.orchestrator.scheduling.schedule import plan_job
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_job


def test_what_no_known_node_can_take_is_looked_at_every_second_until_the_nodes_had_time_to_come_back():
    plan = plan_job(JobView(make_job(cpu="64"), ()), make_context(make_candidate(), settled=False))
    assert plan.waiting
    assert plan.next_evaluation == NOW + SECOND


def test_what_will_fit_later_is_woken_by_what_ends():
    plan = plan_job(JobView(make_job(cpu="2"), ()), make_context(make_candidate(free=1.0), settled=False))
    assert plan.waiting
    assert plan.next_evaluation == 0


def test_a_job_that_waits_when_its_total_limit_passes_needs_no_node_to_say_so():
    candidate = make_candidate(free=0.0)
    waiting = plan_job(JobView(make_job(total=5), ()), make_context(candidate))
    assert waiting.next_evaluation == NOW + 5 * SECOND
    late = plan_job(JobView(waiting.job, ()), make_context(candidate, now=NOW + 5 * SECOND))
    assert (late.job.state.state_type, late.job.state.message) == (
        "Failed",
        "timed out after 5 s: the job's total time limit is over",
    )
