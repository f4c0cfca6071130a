"""Who gets a link to put a result at: the node that runs the execution, while it runs it. And who gets one to a result
that is an input: a node that runs what reads it.
"""

import pytest
from msgspec.structs import replace

from bacalhau.lib.errors import BadRequest, Forbidden, HandshakeRequired
from bacalhau.lib.wire import encode
from bacalhau.models.execution.execution import (
    ComputeState,
    ComputeStateType,
    DesiredState,
    DesiredStateType,
    Execution,
)
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.taken import TakenResult, with_pinned
from bacalhau.models.node.node import CONNECTED, ConnectionState, NodeInfo, NodeState
from bacalhau.models.wire.links import PreSignURLRequest, PreSignURLResponse, SignInputRequest
from bacalhau.models.wire.messages import HelloRequest, ListInputRequest, ResolveInputsRequest
from bacalhau.orchestrator.core import sign_no_input
from bacalhau.orchestrator.evaluation.pinning import with_links
from bacalhau.orchestrator.nodes.handshake import on_request
from bacalhau.ports.bus import Delivery
from tests.api.room import open_room


async def sign(job_id, execution_id):
    return f"http://bucket/{job_id}/{execution_id}"


@pytest.fixture
async def orch(tmp_path):
    async with open_room(tmp_path) as room:
        for name in ("n-1", "n-2"):
            node = NodeState(
                info=NodeInfo(node_id=name), connection=CONNECTED, connection_state=ConnectionState(status=CONNECTED)
            )
            room.orch.cluster.put(node, 0)
        job_id = await room.submit()
        running = DesiredState(state_type=DesiredStateType.RUNNING)
        made = [
            Execution(
                id=f"e-{state}",
                job_id=job_id,
                node_id="n-1",
                revision=1,
                job_version=1,
                desired_state=running,
                compute_state=ComputeState(state_type=state),
            )
            for state in (ComputeStateType.BID_ACCEPTED, ComputeStateType.FAILED)
        ]
        await room.orch.store.apply(Change(new_executions=tuple(made)))
        room.orch.cluster.hold(made[0])
        room.orch.sign_upload = sign
        yield room.orch, job_id


async def ask(orch, node_id, execution_id, job_id=""):
    request = PreSignURLRequest(execution_id=execution_id, job_id=job_id)
    return await on_request(orch, Delivery(node_id, "managedPublisher.PreSignURLRequest", request))


RESULT = SpecConfig(type="s3managed", params={"JobID": "j-1", "ExecutionID": "e-1"})


async def sign_input(source):
    return replace(source, params=(source.params or {}) | {"Link": "http://bucket/signed"})


async def ask_input(orch, node_id, source):
    return await on_request(orch, Delivery(node_id, "transport.SignInputRequest", SignInputRequest(source=source)))


async def take_result(orch, job_id):
    """Write a result into the job, as an input that was found for it."""
    job = await orch.store.find_job(job_id)
    taken = TakenResult(job_id="j-1", job_version=1, execution_id="e-1", source=RESULT, folder="0", is_archive=True)
    source = with_pinned(SpecConfig(type="job", params={"Job": "j-1"}), (taken,))
    task = replace(job.task, input_sources=(InputSource(source=source, target="/in"),))
    await orch.commit(Change(jobs=(replace(job, tasks=(task,), revision=job.revision + 1),)))


async def test_a_node_that_runs_what_reads_a_result_gets_a_link_to_it_and_nobody_else(orch):
    orch, job_id = orch
    orch.sign_input = sign_input
    with pytest.raises(Forbidden, match="n-1 runs nothing that reads this result of publisher s3managed"):
        await ask_input(orch, "n-1", RESULT)
    await take_result(orch, job_id)
    answer = await ask_input(orch, "n-1", RESULT)
    assert answer.source.params["Link"] == "http://bucket/signed"
    other = replace(RESULT, params={"JobID": "j-1", "ExecutionID": "e-2"})
    for node_id, source in (("n-2", RESULT), ("n-1", other), ("n-3", RESULT)):
        with pytest.raises((Forbidden, HandshakeRequired)):
            await ask_input(orch, node_id, source)
    orch.sign_input = sign_no_input
    with pytest.raises(
        BadRequest, match="results of publisher s3managed are not fetched by links of this orchestrator"
    ):
        await ask_input(orch, "n-1", RESULT)


async def test_a_question_to_a_node_has_links_to_what_was_found_for_a_job_and_to_nothing_that_a_user_names(orch):
    orch, job_id = orch
    orch.sign_input = sign_input
    await take_result(orch, job_id)
    item = (await orch.store.find_job(job_id)).task.input_sources[0]
    for question in (ListInputRequest(input=item), ResolveInputsRequest(inputs=(item,))):
        assert encode(await with_links(orch, question)).count(b"http://bucket/signed") == 1
    plain = InputSource(source=SpecConfig(type="ipfs", params={"CID": "Qm"}), target="/in")
    direct = InputSource(source=RESULT, target="/in")
    for question in (ListInputRequest(input=direct), ResolveInputsRequest(inputs=(plain, direct)), HelloRequest()):
        assert encode(await with_links(orch, question)) == encode(question)
    orch.sign_input = sign_no_input
    question = ResolveInputsRequest(inputs=(item,))
    assert encode(await with_links(orch, question)) == encode(question)


async def test_its_own_node_gets_one_for_the_jobs_true_id(orch):
    orch, job_id = orch
    answer = await ask(orch, "n-1", "e-5", "j-other")
    assert answer == PreSignURLResponse(execution_id="e-5", job_id=job_id, pre_signed_url=f"http://bucket/{job_id}/e-5")


@pytest.mark.parametrize(
    ("node_id", "execution_id", "reason"),
    [
        ("n-2", "e-5", "belongs to node n-1"),
        ("n-1", "e-10", "the execution is Failed"),
        ("n-1", "e-0", "may not publish"),
        ("n-3", "e-5", "n-3"),
    ],
)
async def test_nobody_else_gets_one(orch, node_id, execution_id, reason):
    with pytest.raises((Forbidden, HandshakeRequired), match=reason):
        await ask(orch[0], node_id, execution_id)


async def test_without_a_bucket_there_are_none(orch):
    orch[0].sign_upload = None
    with pytest.raises(BadRequest, match="publisher s3managed is not set up on this orchestrator"):
        await ask(orch[0], "n-1", "e-5")
