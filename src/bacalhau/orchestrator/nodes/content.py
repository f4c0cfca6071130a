"""Blocks of published results, for nodes that reach the orchestrator through the bus alone."""

from bacalhau.lib.errors import NotFound
from bacalhau.lib.wire import Model
from bacalhau.models.wire.messages import (
    GetBlockRequest,
    GetBlockResponse,
    MissingBlocksRequest,
    MissingBlocksResponse,
    PutBlocksRequest,
    PutBlocksResponse,
)
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
