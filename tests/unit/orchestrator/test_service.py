"""Services: always so many, started again when they end, and a new version step by step."""

from itertools import count as count_up

from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.retry import ENDED, FAILURE_KIND, NODE_LOST, RetryPolicy
from bacalhau.models.job.state import JobStateType as S
from bacalhau.orchestrator.scheduling.retry import STABLE_NS
from bacalhau.orchestrator.scheduling.rollout import LARGEST_STEP, PAUSE_NS
from bacalhau.orchestrator.scheduling.schedule import plan_job
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

ENDED_DETAILS = {"Retryable": "true", FAILURE_KIND: ENDED}


def plan(job, *executions, candidates=(), now=NOW):
    return plan_job(JobView(job, executions), make_context(*(candidates or (make_candidate(cpu=64.0),)), now=now))


def service(**how):
    return make_job(kind="service", **({"state": S.RUNNING} | how))


def ended(n=1, *, at=NOW, ran=0, **how):
    made = make_execution(
        n,
        state=C.FAILED,
        message="execution completed unexpectedly",
        details=how.pop("details", ENDED_DETAILS),
        at=at - ran,
        **how,
    )
    return (
        made if not ran else type(made)(**{f: getattr(made, f) for f in made.__struct_fields__} | {"modify_time": at})
    )


def test_as_many_as_wanted_run_and_no_one_finishes_it():
    assert [e.partition_index for e in plan(service(count=3)).asks] == [0, 1, 2]
    assert plan(service(count=1), make_execution()).is_empty


def test_what_ends_is_started_again_after_a_growing_pause_without_limit():
    failures = [ended(n) for n in range(1, 7)]
    first = plan(service(), failures[0])
    assert (first.next_evaluation, first.job, first.wants_room) == (NOW + SECOND, None, False)
    assert plan(service(), *failures).next_evaluation == NOW + 32 * SECOND
    assert [e.partition_index for e in plan(service(), *failures, now=NOW + 32 * SECOND).asks] == [0]
    assert plan(service(), *(ended(n) for n in range(1, 60))).next_evaluation == NOW + 300 * SECOND


def test_what_ran_well_for_long_starts_to_count_anew():
    failures = [*(ended(n) for n in range(1, 7)), ended(7, at=NOW + STABLE_NS, ran=STABLE_NS)]
    assert plan(service(), *failures, now=NOW + STABLE_NS).next_evaluation == NOW + STABLE_NS + SECOND


def test_a_limit_that_was_asked_for_ends_it_with_the_last_error():
    job = service(retry=RetryPolicy(max=1))
    assert plan(job, ended(1), now=NOW + SECOND).asks
    made = plan(job, ended(1), ended(2))
    assert (made.job.state.state_type, made.job.state.message) == (S.FAILED, "execution completed unexpectedly")


def test_it_moves_when_its_node_is_lost():
    made = plan(
        service(),
        make_execution(),
        candidates=(make_candidate("n-1", lost=True, connected=False), make_candidate("n-2")),
    )
    assert [e.state for e in made.cancels] == [C.FAILED]
    lost = made.cancels[0]
    assert [
        e.node_id
        for e in plan(
            service(),
            lost,
            candidates=(make_candidate("n-1", lost=True, connected=False), make_candidate("n-2")),
            now=NOW + SECOND,
        ).asks
    ] == ["n-2"]


def test_time_limits_of_a_run_do_not_concern_it():
    assert plan(service(total=5, created=NOW - 100 * SECOND), make_execution()).is_empty


def test_count_0_stops_all_and_leaves_the_job_open():
    made = plan(service(state=S.PENDING, count=0, version=2), make_execution(1), make_execution(2, partition=1))
    assert len(made.cancels) == 2 and made.job.state.state_type == S.RUNNING and not made.asks


def test_a_lower_count_stops_the_surplus_at_once():
    old = [make_execution(n, partition=n) for n in range(4)]
    made = plan(service(state=S.PENDING, count=1, version=2), *old)
    assert {e.partition_index for e in made.cancels} == {0, 1, 2, 3} and [e.partition_index for e in made.asks] == [0]
    kept = plan(service(state=S.PENDING, count=3, version=2), *old)
    assert {e.partition_index for e in kept.cancels} == {0, 3}


def test_a_higher_count_starts_the_new_ones_at_once():
    made = plan(service(state=S.PENDING, count=6, version=2), *(make_execution(n, partition=n) for n in range(4)))
    assert [e.partition_index for e in made.asks] == [0, 4, 5] and [e.partition_index for e in made.cancels] == [0]


def test_its_own_predecessor_may_still_have_the_port():
    no = make_execution(state=C.ASK_FOR_BID_REJECTED, message="port 8080 is in use")
    made = plan(service(), no)
    assert (made.job.state.state_type, made.next_evaluation) == (S.QUEUED, NOW + 3 * SECOND)
    assert plan(service(), no, now=NOW + 3 * SECOND).asks


def roll_out(count, *, fails=False):
    """Look again and again as the evaluator would; the size of each step."""
    job, now = service(state=S.PENDING, count=count, version=2), NOW
    executions = {e.id: e for e in (make_execution(n, partition=n) for n in range(count))}
    steps = []
    for look in range(4 * count):
        made = plan_job(JobView(job, tuple(executions.values())), make_context(make_candidate(cpu=500.0), now=now))
        if made.is_empty and not made.next_evaluation:
            return steps, executions.values()
        if made.cancels:
            steps.append(len(made.cancels))
        executions |= {e.id: e for e in made.cancels}
        executions |= {
            f"{look}-{e.id}": type(e)(**{f: getattr(e, f) for f in e.__struct_fields__} | {"id": f"{look}-{e.id}"})
            for e in made.asks
        }
        if fails:
            executions |= {
                k: e.moved(C.FAILED, now, "bad", details=ENDED_DETAILS)
                for k, e in executions.items()
                if e.is_live and e.job_version == 2
            }
        job, now = made.job or job, max(now, made.next_evaluation)
    return steps, executions.values()


@given(st.integers(1, 150))
def test_a_new_version_replaces_the_old_one_in_bounded_steps(count):
    steps, executions = roll_out(count)
    assert max(steps) <= max(1, min(LARGEST_STEP, count // 5)) and sum(steps) == count
    live = [e for e in executions if e.is_live]
    assert {e.job_version for e in live} == {2} and sorted(e.partition_index for e in live) == list(range(count))


def test_while_the_new_version_fails_the_old_one_runs_on():
    steps, executions = roll_out(10, fails=True)
    assert steps == [2]
    assert sum(e.is_live and e.job_version == 1 for e in executions) == 8


def test_a_step_waits_a_little_after_the_one_before():
    fresh = make_execution(9, version=2)
    made = plan(service(count=2, version=2), fresh, make_execution(1, partition=1), now=NOW + PAUSE_NS // 2)
    assert (made.is_empty, made.next_evaluation) == (True, NOW + PAUSE_NS)


def test_a_lost_node_does_not_hold_up_a_new_version():
    lost = ended(9, version=2, details={"Retryable": "true", FAILURE_KIND: NODE_LOST})
    made = plan(service(count=2, version=2), lost, make_execution(1, partition=1), now=NOW + 2 * SECOND)
    assert [e.partition_index for e in made.cancels] == [1]


def roll_out_everywhere(count, broken, *, fails=False):
    """A new version of a daemon on `count` nodes, of which `broken` fail for any version; what is live at the end."""
    job, now = make_job(kind="daemon", state=S.PENDING, version=2), NOW
    nodes = [f"n-{n:03d}" for n in range(count)]
    view = JobView(job, [make_execution(n, node=name) for n, name in enumerate(nodes) if name not in broken])
    ids = (f"e-{n}" for n in count_up(10_000))
    for _ in range(4 * count):
        around = make_context(*(make_candidate(name) for name in nodes), now=now)._replace(new_ids=ids)
        made = plan_job(view, around)
        started = [
            e.moved(C.FAILED, now, "bad", details=ENDED_DETAILS) if fails or e.node_id in broken else e
            for e in made.asks
        ]
        view.note([*made.cancels, *started])
        view.job = made.job or view.job
        if not any(e.job_version == 1 for e in view.live()):
            break
        now = max(now + PAUSE_NS, view.job.create_time)
    return list(view.live())


@settings(max_examples=10, deadline=None)
@given(st.integers(30, 80), st.data())
def test_a_few_broken_nodes_do_not_hold_up_a_new_version(count, data):
    broken = data.draw(st.sets(st.integers(0, count - 1), max_size=1))
    live = roll_out_everywhere(count, {f"n-{n:03d}" for n in broken})
    assert {e.job_version for e in live} == {2} and len(live) == count - len(broken)


@settings(max_examples=5, deadline=None)
@given(st.integers(30, 80))
def test_a_version_that_fails_everywhere_stops_after_its_first_step(count):
    live = roll_out_everywhere(count, set(), fails=True)
    assert {e.job_version for e in live} == {1} and len(live) >= count - min(LARGEST_STEP, count // 5)
