"""The node's side of membership: shake hands after each connect, beat, tell what changed, say goodbye."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import msgspec

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.machine.fingerprint import describe_node, is_engine_back
from bacalhau.compute.messages.inbox import cancel
from bacalhau.lib.aio import Signal, gather_bounded
from bacalhau.lib.clock import rfc3339
from bacalhau.lib.errors import BacalhauError, BadRequest, HandshakeRequired, Unavailable
from bacalhau.lib.units import show_bytes
from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo
from bacalhau.models.wire import messages as m

PIECE = 20_000  # executions told in one message: some 820 KB of the 1 MiB that a message server takes
AT_ONCE = 64  # executions stopped side by side, which share the journal's commits
ENGINE_PAUSE = 2.0  # seconds between checks of an engine that does not work
log = logging.getLogger(__name__)


async def shake_hands(node: ComputeNode) -> None:
    """Register, and stop what the orchestrator no longer wants. Raises Unavailable when refused."""
    async with node.talking:
        await _shake_hands(node)


async def beat_or_join(node: ComputeNode) -> bool:
    """Give a sign of life, or shake hands when the orchestrator asks for that first, and return False."""
    async with node.talking:
        if await _beat(node):
            return True
        await _shake_hands(node)
        return False


async def _shake_hands(node: ComputeNode) -> None:
    # A node that comes back must be quick, and its checks may take their time: what it said last is good enough for
    # now.
    info = node.told or await describe_node(node)
    running, after = await _tell_running(node)
    request = m.HandshakeRequest(
        node_info=info,
        start_time=rfc3339(node.started),
        last_orchestrator_seq_num=node.numbers.latest,
        running=running,
        running_after=after,
    )
    answer = await node.bus.request(request)
    if not isinstance(answer, m.HandshakeResponse) or not answer.accepted:
        raise Unavailable(f"the orchestrator refused this node: {getattr(answer, 'reason', answer)}")
    if node.told is None:
        log.info("node %s %s", node.node_id, _offer(info))
    node.told, node.is_fenced = info, answer.fenced
    node.numbers.resume()
    await _stop(node, answer.stop or ())
    node.reports.open()
    node.joined.fire()
    log.info("node %s joined its orchestrator", node.node_id)


def _offer(info: NodeInfo) -> str:
    """Say what a node offers to jobs, such as `runs docker, noop with 4 CPU, 16.0 GB of memory, 80.0 GB of disk`."""
    total, engines = info.compute.max_capacity, ", ".join(info.compute.execution_engines or ())
    gpus = f" and {total.gpu} GPU" if total.gpu else ""
    room = f"{total.cpu:g} CPU, {show_bytes(total.memory)} of memory, {show_bytes(total.disk)} of disk{gpus}"
    return f"runs {engines} with {room}" if engines else f"runs no jobs: none of its engines works; it has {room}"


async def _tell_running(node: ComputeNode) -> tuple[tuple[str, ...] | None, str]:
    """Tell what the node has in hand, piece by piece, up to the last piece, which is left to the handshake.

    Returns the last piece and the id after which it begins. Each piece stands for itself: after a connection that was
    lost in between, the next handshake begins anew. An orchestrator that does not know such pieces is told nothing (a
    None), as by nodes of other makes.
    """
    after = ""
    while len(running := _list_running(node, after)) > PIECE:
        request = m.RunningRequest(running=running[:PIECE], after=after, until=running[PIECE - 1])
        try:
            answer = await node.bus.request(request)
        except BadRequest as e:
            log.warning("the orchestrator cannot be told of the %d executions here: %s", len(running), e)
            return None, ""
        await _stop(node, answer.stop if isinstance(answer, m.RunningResponse) else ())
        after = request.until
    return running, after


def _list_running(node: ComputeNode, after: str) -> tuple[str, ...]:
    """List what the node has in hand after this id, in the order of ids.

    It is read right before it is told: what arrives later would be taken for forgotten.
    """
    mine = {*node.running, *(r.execution_id for r in node.reports.unsettled())}
    return tuple(sorted(execution_id for execution_id in mine if execution_id > after))


async def _stop(node: ComputeNode, execution_ids: Sequence[str]) -> None:
    """Stop what the orchestrator no longer wants."""
    await gather_bounded(AT_ONCE, [partial(cancel, node, execution_id) for execution_id in execution_ids])


async def heartbeat_forever(node: ComputeNode) -> None:
    tick, trouble = Signal(), ""
    while True:
        await tick.wait(node.heartbeat)
        try:
            await beat_or_join(node)
            trouble = ""
        except BacalhauError as e:
            if e.message != trouble:
                log.info("heartbeat: %s", e)
            trouble = e.message


async def tell_changes_forever(node: ComputeNode) -> None:
    """Tell the orchestrator what changed on this node: now and then, and at once when an engine went or is back.

    An engine that works is checked early only when an execution could not reach it. One that does not work is checked
    every two seconds. What could not be told is told again after the next handshake, or the pause of a heartbeat.
    """
    told_at, is_due = time.monotonic(), False
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(node.doubt.wait(), min(ENGINE_PAUSE, node.info_interval))
        is_old = time.monotonic() - told_at >= node.info_interval
        is_due = is_due or is_old or await is_engine_back(node) or node.doubt.is_set()
        node.doubt.clear()
        if is_due:
            try:
                await _tell_changes(node)
                told_at, is_due = time.monotonic(), False
            except BacalhauError as e:
                log.debug("what changed is told later: %s", e)
                await node.joined.wait(node.heartbeat)


async def _beat(node: ComputeNode) -> bool:
    """Return False when the orchestrator wants a handshake first."""
    free, queued = node.capacity.free, node.capacity.queued
    beat = m.HeartbeatRequest(
        node_id=node.node_id,
        available_capacity=free,
        queue_used_capacity=queued,
        last_orchestrator_seq_num=node.numbers.latest,
        cached_bytes=node.cache.total if node.cache else 0,
    )
    try:
        await node.bus.request(beat)
    except HandshakeRequired:
        return False
    return True


async def _tell_changes(node: ComputeNode) -> None:
    info = await describe_node(node)
    async with node.talking:
        if node.told is None or _lasting(info) != _lasting(node.told):
            await node.bus.request(m.UpdateNodeInfoRequest(node_info=info))
        node.told = info


def _lasting(info: NodeInfo) -> NodeInfo:
    """Strip a description of what every heartbeat tells anyway."""
    blank = ComputeNodeInfo()
    compute = msgspec.structs.replace(
        info.compute,
        available_capacity=blank.available_capacity,
        queue_capacity=blank.queue_capacity,
        running_executions=0,
    )
    return msgspec.structs.replace(info, compute_node_info=compute)


async def say_goodbye(node: ComputeNode) -> None:
    """The orchestrator stops placing work here at once."""
    try:
        notice = m.ShutdownNoticeRequest(
            node_id=node.node_id, reason="the node is shutting down", last_orchestrator_seq_num=node.numbers.latest
        )
        await node.bus.request(notice, seconds=2)
    except BacalhauError as e:
        log.info("goodbye: %s", e)
