"""Who gets a link to put a result at: the node that runs the execution, while it runs it."""

import pytest

from bacalhau.lib.errors import BadRequest, Forbidden, HandshakeRequired
from bacalhau.models.execution.execution import (
    ComputeState,
    ComputeStateType,
    DesiredState,
    DesiredStateType,
    Execution,
)
from bacalhau.models.execution.plan import Change
from bacalhau.models.node.node import CONNECTED, ConnectionState, NodeInfo, NodeState
from bacalhau.models.wire.messages import PreSignURLRequest, PreSignURLResponse
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
