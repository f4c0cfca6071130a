"""Permits to publish. Only the attempt that is still live has one, on a node that is a member and connected.

A node acts on a yes for a moment only (`compute/remote/permit.py`), and work is never placed elsewhere within that
moment, so of two attempts at the same partition one publishes.
"""

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, Forbidden, NotFound
from bacalhau.models.execution.execution import Execution
from bacalhau.models.node.node import APPROVED, NodeState
from bacalhau.models.wire.messages import PreSignURLRequest, PreSignURLResponse, PublishRequest, PublishResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.change import require_connected


async def answer_publish(orch: Orchestrator, node_id: str, request: PublishRequest) -> PublishResponse:
    """Grant or refuse a permit. Raises HandshakeRequired to a node that is not counted as connected."""
    node = require_connected(orch, node_id)
    known = orch.views.find(request.job_id, request.execution_id)
    try:
        execution, _ = known or await orch.store.load_execution(request.execution_id)
    except NotFound as e:
        return PublishResponse(granted=False, reason=e.message)
    reason = decide_refusal(execution, node)
    if not reason:
        orch.permits.grant(execution, now_ns())
    return PublishResponse(granted=not reason, reason=reason)


async def answer_upload(orch: Orchestrator, node_id: str, request: PreSignURLRequest) -> PreSignURLResponse:
    """Answer with a link for a result. Raises Forbidden to those who may not publish that result, BadRequest where this
    orchestrator keeps none.
    """
    if orch.sign_upload is None:
        raise BadRequest(
            "publisher s3managed is not set up on this orchestrator",
            hint="set Publishers.Types.S3Managed.Bucket and Region there",
        )
    right = await answer_publish(
        orch, node_id, PublishRequest(execution_id=request.execution_id, job_id=request.job_id)
    )
    if not right.granted:
        raise Forbidden(f"node {node_id} may not publish the result of {request.execution_id}: {right.reason}")
    execution, _ = await orch.store.load_execution(request.execution_id)
    link = await orch.sign_upload(execution.job_id, execution.id)
    return PreSignURLResponse(execution_id=execution.id, job_id=execution.job_id, pre_signed_url=link)


def decide_refusal(execution: Execution, node: NodeState) -> str:
    """Say why the execution may not publish from there; "" when it may."""
    if execution.node_id != node.info.node_id:
        return f"the execution belongs to node {execution.node_id}"
    if node.membership != APPROVED:
        return f"the node is {node.membership.lower()}"
    return "" if execution.is_live else f"the execution is {execution.state.label}: {execution.compute_state.message}"
