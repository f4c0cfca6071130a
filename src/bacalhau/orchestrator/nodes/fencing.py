"""Permits to publish. Only the attempt that is still live has one, on a node that is a member and connected.

A node acts on a yes for a moment only (`compute/remote/permit.py`), and within that moment nothing is started in the
same slot of the job (`orchestrator/state/permits.py`), so of two attempts there one publishes.
"""

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, Forbidden, NotFound, Unavailable
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.taken import taking_inputs
from bacalhau.models.node.node import APPROVED
from bacalhau.models.wire.links import PreSignURLRequest, PreSignURLResponse, SignInputRequest, SignInputResponse
from bacalhau.models.wire.messages import PublishRequest, PublishResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.change import require_connected


async def answer_publish(orch: Orchestrator, node_id: str, request: PublishRequest) -> PublishResponse:
    """Grant or refuse a permit. Raises HandshakeRequired to a node that is not counted as connected, and Unavailable
    while the end of the execution is being written: the node asks again.
    """
    node = require_connected(orch, node_id)
    if node.membership != APPROVED:
        return PublishResponse(granted=False, reason=f"the node is {node.membership.lower()}")
    held = orch.cluster.find_held(request.execution_id)
    if held is None or held.node_id != node_id:
        return PublishResponse(granted=False, reason=await _explain_refusal(orch, node_id, request.execution_id))
    if not orch.permits.grant(request.execution_id, held.job_id, held.slot, now_ns()):
        raise Unavailable(f"whether execution {request.execution_id} goes on is being decided")
    return PublishResponse(granted=True)


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


async def answer_input(orch: Orchestrator, node_id: str, request: SignInputRequest) -> SignInputResponse:
    """Answer with the link to a result. Raises Forbidden to a node without an execution that reads it, BadRequest where
    this orchestrator signs none, and Unavailable where it cannot now.
    """
    require_connected(orch, node_id)
    if not await _reads(orch, node_id, request.source):
        raise Forbidden(f"node {node_id} runs nothing that reads this result of publisher {request.source.kind}")
    signed = await orch.sign_input(request.source)
    if signed == request.source:
        raise BadRequest(f"results of publisher {signed.kind} are not fetched by links of this orchestrator")
    return SignInputResponse(source=signed)


async def _reads(orch: Orchestrator, node_id: str, source: SpecConfig) -> bool:
    """Tell whether a node holds an execution of a job that takes the result which a source brings."""
    views = await orch.views.load(orch.store, sorted(orch.cluster.jobs_on(node_id)))
    return any(
        taken.source == source
        for view in views.values()
        for _, _, params in taking_inputs(view.job)
        for taken in params.pinned
    )


async def _explain_refusal(orch: Orchestrator, node_id: str, execution_id: str) -> str:
    """Say why an execution that is not live on a node may not publish from there."""
    try:
        execution, _ = await orch.store.load_execution(execution_id)
    except NotFound as e:
        return e.message
    if execution.node_id != node_id:
        return f"the execution belongs to node {execution.node_id}"
    return f"the execution is {execution.state.label}: {execution.compute_state.message}"
