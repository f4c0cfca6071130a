"""Answers to questions that only a node can answer: what inputs hold, seen with its own credentials,
and which it has already.
"""

import asyncio
from functools import partial

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.messages.control import beat_or_join
from bacalhau.compute.messages.listing import list_input
from bacalhau.compute.messages.locality import locate
from bacalhau.lib.aio import gather_bounded, together
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.lib.wire import Model
from bacalhau.models.job.job import InputSource
from bacalhau.models.wire.messages import (
    HelloRequest,
    HelloResponse,
    InputAnswer,
    ListInputRequest,
    LocateInputsRequest,
    LocateInputsResponse,
    ResolveInputsRequest,
    ResolveInputsResponse,
)
from bacalhau.ports.bus import Delivery

PATIENCE = 8.0  # seconds; the orchestrator waits a little longer
GLANCE = 0.7  # seconds, of the second that a job waits for all nodes
AT_ONCE = 16


async def on_request(node: ComputeNode, delivery: Delivery) -> Model:
    message = delivery.message
    if isinstance(message, ResolveInputsRequest):
        return ResolveInputsResponse(
            inputs=tuple(await together(*(_find_out(node, source) for source in message.inputs)))
        )
    if isinstance(message, LocateInputsRequest):
        return LocateInputsResponse(
            places=tuple(
                await gather_bounded(AT_ONCE, [partial(locate, node, source, GLANCE) for source in message.sources])
            )
        )
    if isinstance(message, ListInputRequest):
        return await list_input(node, message)
    if isinstance(message, HelloRequest):
        await beat_or_join(node)
        return HelloResponse()
    raise BadRequest(f"a node does not answer {delivery.type}")


async def _find_out(node: ComputeNode, source: InputSource) -> InputAnswer:
    """Listed as a run of the job would, and nothing is brought."""
    kind = source.source.kind
    answer = InputAnswer(type=kind, target=source.target)
    storage = node.plugins.sources.get(kind)
    if storage is None:
        return InputAnswer(type=kind, target=source.target, error=f"this node cannot read inputs from {kind}")
    try:
        async with asyncio.timeout(PATIENCE):
            manifest = await storage.resolve(source.source)
    except BacalhauError as e:
        return InputAnswer(type=answer.type, target=answer.target, error=e.message, hint=e.hint)
    except TimeoutError:
        return InputAnswer(type=answer.type, target=answer.target, error=f"not found out within {PATIENCE:g} s")
    return InputAnswer(type=answer.type, target=answer.target, objects=len(manifest.entries), bytes=manifest.size)
