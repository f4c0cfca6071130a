"""Kept outputs that are published after the end of a job: one attempt in a slot, and what becomes of the job."""

import pytest
from msgspec.structs import replace

from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import BadRequest, Conflict, NotFound, Unavailable
from bacalhau.lib.wire import decode
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire import messages as m
from bacalhau.models.wire.api import PublishJobRequest
from bacalhau.orchestrator.core import Checks
from bacalhau.orchestrator.jobs.delete import delete_job
from bacalhau.orchestrator.jobs.publish import publish_job
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.nodes.fencing import answer_publish
from bacalhau.orchestrator.nodes.handshake import on_gone
from bacalhau.orchestrator.nodes.watch import load_state
from bacalhau.orchestrator.retention.forget import Keeper
from bacalhau.orchestrator.state.limits import Retention
from bacalhau.ports.bus import Delivery
from tests.unit.orchestrator.house import House, make_orchestrator, open_house, wanted

HOUR = 3600 * 1_000_000_000
GONE = make_event(Topic.PUBLISHING_RESULTS, "gone", 1, FailureKind="publish")
SHELF, RACK = SpecConfig(type="shelf"), SpecConfig(type="rack")


def check_type(published):
    kind = published.publisher.type
    return [] if published.result.type == kind else [f"that is no {kind}"]


CHECKS = Checks(
    {"noop": lambda _: []},
    {},
    dict.fromkeys(("shelf", "rack"), lambda _: []),
    results=dict.fromkeys(("shelf", "rack"), check_type),
)


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as made:
        made.orch.checks = CHECKS
        await made.join("n-1")
        yield made


async def submit(house, **job):
    made = wanted("work", **job)
    made = replace(made, tasks=(replace(made.task, publisher=SHELF),))
    answer = await submit_job(house.orch, made, force=False, warnings=())
    await house.settle()
    return answer.job_id


async def tell(house, execution, message):
    await on_message(house.orch, Delivery(execution.node_id, type(message).__name__, message))
    await house.settle()


async def fail(house, execution, until=HOUR):
    """The node computed it, could not publish it, and keeps it."""
    details = {"IsError": "true", "FailureKind": "publish", "KeptUntil": rfc3339(now_ns() + until), "KeptBytes": "7"}
    event = make_event(Topic.PUBLISHING_RESULTS, "the shelf is full", now_ns(), **details)
    await tell(house, execution, m.ComputeError(execution_id=execution.id, job_id=execution.job_id, events=(event,)))


async def done(house, execution, result=SHELF):
    told = m.RunResult(execution_id=execution.id, job_id=execution.job_id, publish_result=result)
    await tell(house, execution, told)


async def publish(house, job_id, **request):
    return (await publish_job(house.orch, job_id, "", PublishJobRequest(**request))).executions


async def state(house, job_id):
    return (await house.orch.store.find_job(job_id, "")).state.state_type


async def executions(house, job_id):
    return {e.id: e for e in await house.orch.store.list_executions(job_id, 0)}


async def test_the_last_missing_result_completes_the_job_and_not_the_one_before(house):
    job_id = await submit(house, count=3)
    first, second, third = await house.live()
    await done(house, third)
    await fail(house, first)
    assert (await state(house, job_id), await house.live()) == ("Failed", [])
    assert await publish(house, job_id) == (first.id,)
    assert [e.id for e in await house.live()] == [first.id]
    permit = await answer_publish(house.orch, "n-1", m.PublishRequest(execution_id=first.id, job_id=job_id))
    assert permit.granted
    await done(house, first)
    assert (await state(house, job_id), (await executions(house, job_id))[first.id].state.label) == (
        "Failed",
        "Completed",
    )
    stopped = (await executions(house, job_id))[second.id]
    kept = make_event(Topic.EXECUTION, "Stopped", now_ns(), KeptUntil=rfc3339(now_ns() + HOUR), FailureKind="cancelled")
    await tell(house, stopped, m.ComputeError(execution_id=second.id, job_id=job_id, events=(kept,)))
    assert await publish(house, job_id) == (second.id,)
    await done(house, second)
    assert await state(house, job_id) == "Completed"
    assert not house.orch.cluster.held_on("n-1")


async def test_what_fails_again_stays_kept_and_what_is_gone_does_not(house):
    job_id = await submit(house)
    (only,) = await house.live()
    await fail(house, only)
    for _ in range(2):
        assert await publish(house, job_id) == (only.id,)
        with pytest.raises(NotFound, match="no node keeps outputs"):
            await publish(house, job_id)  # it is being published
        await fail(house, only)
    assert await state(house, job_id) == "Failed"
    await publish(house, job_id)
    gone = make_event(Topic.PUBLISHING_RESULTS, "gone", now_ns(), KeptUntil="", FailureKind="publish")
    await tell(house, only, m.ComputeError(execution_id=only.id, job_id=job_id, events=(gone,)))
    with pytest.raises(NotFound, match="no node keeps outputs"):
        await publish(house, job_id)


async def test_only_what_is_kept_until_later_than_now_of_a_job_that_has_ended_and_a_node_that_is_there(house):
    job_id = await submit(house)
    with pytest.raises(Conflict, match="outputs are published when it has ended"):
        await publish(house, job_id)
    (only,) = await house.live()
    await fail(house, only, until=HOUR)
    with pytest.raises(NotFound, match="outputs of execution e-x"):
        await publish(house, job_id, execution_id="e-x")
    with pytest.raises(BadRequest, match="publisher type 'stove'"):
        await publish(house, job_id, publisher=SpecConfig(type="stove"))
    on_gone(house.orch, "n-1")
    with pytest.raises(Unavailable, match="the node is away"):
        await publish(house, job_id)


async def test_the_time_of_the_outputs_is_over(house):
    job_id = await submit(house)
    (only,) = await house.live()
    await fail(house, only, until=-1)
    with pytest.raises(NotFound, match="no node keeps outputs"):
        await publish(house, job_id)


async def test_another_publisher_decides_what_the_result_must_be(house):
    job_id = await submit(house)
    (only,) = await house.live()
    await fail(house, only)
    await publish(house, job_id, publisher=RACK)
    await done(house, only, SHELF)
    assert (await executions(house, job_id))[only.id].state.label == "Failed"
    assert await state(house, job_id) == "Failed"


async def test_a_node_that_is_lost_while_it_publishes_keeps_what_it_has(tmp_path):
    async with open_house(tmp_path, grace=0) as house:
        house.orch.checks = CHECKS
        await house.join("n-1")
        job_id = await submit(house)
        (only,) = await house.live()
        await fail(house, only)
        await publish(house, job_id)
        on_gone(house.orch, "n-1")
        house.orch.queue.add(job_id)
        await house.settle()
        left = (await executions(house, job_id))[only.id]
        assert (left.is_live, bool(left.kept_until), await state(house, job_id)) == (False, True, "Failed")
        await house.join("n-1")
        assert await publish(house, job_id) == (only.id,)


async def test_a_new_process_of_the_orchestrator_goes_on_with_it(house, tmp_path):
    job_id = await submit(house)
    (only,) = await house.live()
    await fail(house, only)
    await publish(house, job_id)
    again = House(make_orchestrator(house.orch.store, tmp_path))
    again.orch.checks = CHECKS
    await load_state(again.orch)
    await again.join("n-1")
    await again.settle()
    assert [e.id for e in await again.live()] == [only.id]
    assert again.orch.outbox.starts("n-1") == {only.id}
    await done(again, only)
    assert await state(again, job_id) == "Completed"


async def test_a_run_again_publishes_what_is_kept_and_computes_the_rest(house):
    job_id = await submit(house, count=2)
    first, second = sorted(await house.live(), key=lambda e: e.partition_index)
    await fail(house, first)
    await rerun_job(house.orch, job_id, "", 0, "")
    await house.settle()
    live = {e.partition_index: e for e in await house.live()}
    assert (live[0].id, live[0].state.label, live[0].job_version) == (first.id, "Publishing", 2)
    assert live[1].id not in (first.id, second.id)
    gone = make_event(Topic.PUBLISHING_RESULTS, "gone", now_ns(), KeptUntil="", FailureKind="publish", Retryable="true")
    await tell(house, first, m.ComputeError(execution_id=first.id, job_id=job_id, events=(gone,)))
    assert await state(house, job_id) == "Running"  # it is computed again


@pytest.mark.parametrize("how", ["deleted", "forgotten", "trimmed"])
async def test_nodes_hear_that_outputs_which_they_keep_are_forgotten_with_their_executions(house, how):
    job_id = await submit(house, count=3)
    first, second, third = await house.live()
    await fail(house, first)
    await tell(house, second, m.ComputeError(execution_id=second.id, job_id=job_id, events=(GONE,)))
    await tell(house, third, m.ComputeError(execution_id=third.id, job_id=job_id, events=(GONE,)))
    assert await waiting(house) == []
    if how == "deleted":
        await delete_job(house.orch, job_id, "")
    elif how == "forgotten":
        await Keeper(house.orch.forgetting, house.orch.content, Retention(jobs_age=1e-9)).forget()
    else:
        gone = await house.orch.store.forget_executions(job_id, [first.id, second.id])
        await house.orch.forgetting.tell(gone)
    assert await waiting(house) == [("n-1", "ForgetOutputs", first.id)]
    assert [seq for seq, _ in house.orch.outbox.unsent()] == ["n-1"]


async def test_a_node_that_reports_kept_outputs_of_a_forgotten_execution_hears_the_same(house):
    job_id = await submit(house)
    (only,) = await house.live()
    await tell(house, only, m.ComputeError(execution_id=only.id, job_id=job_id, events=(GONE,)))
    await delete_job(house.orch, job_id, "")
    for report in (GONE, make_event(Topic.PUBLISHING_RESULTS, "full", now_ns(), KeptUntil=rfc3339(now_ns() + HOUR))):
        assert await waiting(house) == []
        await tell(house, only, m.ComputeError(execution_id=only.id, job_id=job_id, events=(report,)))
    assert await waiting(house) == [("n-1", "ForgetOutputs", only.id)]


async def waiting(house):
    """The messages in the store that tell nodes to forget outputs."""
    found = await house.orch.store.list_messages("n-1", 0, 0)
    return [(e.node_id, e.type, decode(e.body, m.Wish).execution_id) for e in found if e.type == "ForgetOutputs"]
