"""An engine that a node cannot reach costs no attempt: the job waits until a node has one, and says for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.retry import ENGINE_AWAY, FAILURE_KIND, RetryPolicy
from bacalhau.models.job.state import JobStateType as S
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.ports.bus import Delivery
from tests.unit.orchestrator.house import open_house, wanted
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

GONE = "cannot reach the Docker API at unix:///run/docker.sock: connection refused"
DETAILS = {FAILURE_KIND: ENGINE_AWAY, "Retryable": "true"}
KINDS = ("batch", "service", "ops", "daemon")


def plan(job, executions, *candidates, now=NOW):
    return plan_job(JobView(job, executions), make_context(*candidates, now=now))


def away(n=1, **how):
    return make_execution(n, state=C.FAILED, message=GONE, details=DETAILS, **how)


async def submit(house, name):
    """Submit a job that takes one of the node's CPUs; its id."""
    job = wanted(name)
    return (await submit_job(house.orch, job, force=False, warnings=())).job_id


async def tell_away(house, execution):
    event = make_event(Topic.EXECUTION, GONE, now_ns(), **DETAILS)
    told = m.ComputeError(execution_id=execution.id, job_id=execution.job_id, events=(event,))
    await on_message(house.orch, Delivery(execution.node_id, "ComputeError", told))


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


@pytest.mark.parametrize("kind", KINDS)
@given(before=st.integers(1, 10), after=st.integers(0, 10))
def test_what_failed_before_the_engine_was_back_keeps_nobody_waiting(kind, before, after):
    job = make_job(kind=kind, state=S.RUNNING, retry=RetryPolicy(max=0))
    failed = [away(n, at=NOW + n * 60 * SECOND) for n in range(before + after)]
    back = failed[before - 1].modify_time + SECOND
    now = max(back, failed[-1].modify_time)
    node = make_candidate()._replace(returned={"docker": back})
    made = plan(job, failed, node, now=now)
    if after:
        assert not made.asks and made.next_evaluation == now + min(2**after, 60) * SECOND
    else:
        assert [e.node_id for e in made.asks] == ["n-1"]
    other = make_candidate()._replace(returned={"noop": back})
    assert not plan(job, failed, other, now=now).asks


@given(st.lists(st.tuples(st.sampled_from([(), ("docker",), ("noop",), ("docker", "noop")]), st.booleans())))
def test_a_node_is_known_to_have_an_engine_again_since_it_told_so(steps):
    cluster, before, since = Cluster(0), None, {}
    for now, (engines, connected) in enumerate(steps, 1):
        cluster.put(make_candidate(engines=engines, connected=connected).node, now)
        since |= {name: now for name in engines if before is not None and name not in before}
        before = engines
        assert cluster.candidates.by_id["n-1"].returned == since
    cluster.forget("n-1")
    cluster.put(make_candidate(engines=("docker",)).node, 99)
    assert cluster.candidates.by_id["n-1"].returned == {}


async def test_all_jobs_that_wait_for_it_go_on_when_it_is_back(tmp_path):
    """Also those that stand behind one for which there is no room yet."""
    async with open_house(tmp_path) as house:
        await house.join("n-1", cpu=4.0)
        ids = {await submit(house, f"j-{n}") for n in range(4)}
        await house.settle()
        for execution in await house.live():
            await tell_away(house, execution)
        await house.settle()
        assert not await house.live() and set((await house.states()).values()) == {S.QUEUED}
        await house.join("n-1", cpu=2.0, engines=())
        await house.settle()
        await house.join("n-1", cpu=2.0)
        done = set()
        while len(done) < len(ids):
            await house.settle()
            live = await house.live()
            assert len(live) == min(2, len(ids) - len(done))
            done.add(live[0].job_id)
            await house.tell(live[0], "done")
        assert done == ids


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
