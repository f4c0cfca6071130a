"""Blocks of published results and of proofs, for nodes that reach the orchestrator through the bus alone."""

from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.lib.wire import Model
from bacalhau.models.wire.messages import (
    GetBlockRequest,
    GetBlockResponse,
    KeepPageRequest,
    KeepPageResponse,
    MissingBlocksRequest,
    MissingBlocksResponse,
    PutBlocksRequest,
    PutBlocksResponse,
)
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.content import ContentStore


async def answer_content(content: ContentStore, message: Model) -> Model | None:
    """Answer a request for content; None when the message is not about content."""
    if isinstance(message, MissingBlocksRequest):
        return MissingBlocksResponse(cids=tuple(await content.missing(message.cids)))
    if isinstance(message, PutBlocksRequest):
        await content.put(message.blocks)
        return PutBlocksResponse(stored=len(message.blocks))
    if isinstance(message, GetBlockRequest):
        try:
            return GetBlockResponse(found=True, block=await content.get(message.cid))
        except NotFound:
            return GetBlockResponse(found=False)
    return None


async def keep_page(orch: Orchestrator, node_id: str, request: KeepPageRequest) -> KeepPageResponse:
    """Keep a page of a proof. Raises Conflict for an execution that this node does not run."""
    if not orch.cluster.holds(node_id, request.execution_id, request.job_id):
        raise Conflict(f"node {node_id} does not run execution {request.execution_id}, and so keeps no proof of it")
    return KeepPageResponse(name=await orch.proofs.keep(request.execution_id, request.page))
