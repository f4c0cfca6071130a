"""Answers to questions that only a node can answer: what inputs hold, seen with its own credentials,
and which it has already. It is told here, too, which inputs it may need next.
"""

import asyncio
from functools import partial

from msgspec.structs import replace

from bacalhau.border.names import shorten
from bacalhau.compute.core import ComputeNode
from bacalhau.compute.execution.prefetch import set_prefetches
from bacalhau.compute.messages.control import beat_or_join
from bacalhau.compute.messages.listing import access_of, list_input
from bacalhau.compute.messages.locality import locate
from bacalhau.lib.aio import gather_bounded, together
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.lib.patience import hurried
from bacalhau.lib.wire import Model
from bacalhau.models.job.inventory import FIRST_KEYS
from bacalhau.models.job.job import InputSource
from bacalhau.models.wire.messages import (
    HelloRequest,
    HelloResponse,
    InputAnswer,
    ListInputRequest,
    LocateInputsRequest,
    LocateInputsResponse,
    PrefetchRequest,
    PrefetchResponse,
    ResolveInputsRequest,
    ResolveInputsResponse,
)
from bacalhau.ports.bus import Delivery
from bacalhau.ports.guard import list_objections
from bacalhau.ports.storage import InPlace

PATIENCE = 8.0  # seconds; the orchestrator waits a little longer
HURRY = 5.0  # seconds, after which efforts that can say what they wait for do so
GLANCE = 0.7  # seconds, of the second that a job waits for all nodes
AT_ONCE = 16


async def on_request(node: ComputeNode, delivery: Delivery) -> Model:
    message = delivery.message
    if isinstance(message, ResolveInputsRequest):
        return ResolveInputsResponse(
            inputs=tuple(await together(*(_find_out(node, source, message.namespace) for source in message.inputs)))
        )
    if isinstance(message, LocateInputsRequest):
        return LocateInputsResponse(
            places=tuple(
                await gather_bounded(AT_ONCE, [partial(locate, node, source, GLANCE) for source in message.sources])
            )
        )
    if isinstance(message, ListInputRequest):
        return await list_input(node, message)
    if isinstance(message, PrefetchRequest):
        set_prefetches(node, message.pieces)
        return PrefetchResponse()
    if isinstance(message, HelloRequest):
        await beat_or_join(node)
        return HelloResponse()
    raise BadRequest(f"a node does not answer {delivery.type}")


async def _find_out(node: ComputeNode, item: InputSource, namespace: str) -> InputAnswer:
    """Find out what an input holds as a run of the job would, and bring nothing."""
    answer = InputAnswer(type=item.source.kind, target=item.target)
    storage = node.plugins.sources.get(item.source.kind)
    if storage is None:
        return replace(answer, error=f"this node cannot read inputs from {item.source.kind}")
    if objections := list_objections(storage, item.source, namespace):
        return replace(answer, error="; ".join(objections))
    try:
        with hurried(HURRY):
            async with asyncio.timeout(PATIENCE):
                manifest = await storage.resolve(item.source)
                access = await access_of(storage, item.source)
    except BacalhauError as e:
        return replace(answer, error=e.message, hint=e.hint)
    except TimeoutError:
        return replace(answer, error=f"not found out within {PATIENCE:g} s")
    return replace(
        answer,
        objects=len(manifest.entries),
        bytes=manifest.size,
        first_keys=tuple(shorten(entry.key) for entry in manifest.entries[:FIRST_KEYS]),
        identity=access.identity,
        region=access.region,
        is_in_place=isinstance(storage, InPlace),
    )
