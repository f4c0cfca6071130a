"""Nodes come, beat, change and go: membership, reconciliation and the answers to control requests."""

import asyncio
import logging
from functools import partial

import msgspec

from bacalhau.border.names import label_problems
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.clock import ZERO_TIME, now_ns, rfc3339
from bacalhau.lib.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from bacalhau.lib.wire import Model, encode
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.plan import Change, HistoryEntry, OutgoingMessage
from bacalhau.models.job.retry import FAILURE_KIND, NODE_LOST
from bacalhau.models.node.node import (
    APPROVED,
    CONNECTED,
    DISCONNECTED,
    REJECTED,
    ConnectionState,
    NodeInfo,
    NodeState,
    relabelled,
)
from bacalhau.models.wire import messages as m
from bacalhau.models.wire.links import PreSignURLRequest, SignInputRequest
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.change import change_in_turn, disconnected, note_node, require_connected
from bacalhau.orchestrator.nodes.content import answer_content, keep_page
from bacalhau.orchestrator.nodes.fencing import answer_input, answer_publish, answer_upload
from bacalhau.ports.bus import Delivery

COMPONENT = "NodesManager"
AT_ONCE = 64  # forgotten executions that end side by side, in shared commits
SHOWN_AT_ONCE = 200  # nodes that are put together in one step of the event loop
log = logging.getLogger(__name__)


async def list_nodes(orch: Orchestrator) -> list[NodeState]:
    """List all known nodes as people see them, put together some at a time."""
    found: list[NodeState] = []
    for number, node in enumerate(orch.cluster.nodes(), 1):
        found.append(orch.cluster.shown(node))
        if number % SHOWN_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


async def get_node(orch: Orchestrator, id_prefix: str) -> NodeState:
    """Find a node by id or unique prefix. Raises NotFound, Conflict."""
    found = [n for n in orch.cluster.nodes() if n.info.node_id.startswith(id_prefix)]
    exact = [n for n in found if n.info.node_id == id_prefix]
    if not found:
        raise NotFound(f"node not found: {id_prefix}", component=COMPONENT)
    if len(found) > 1 and not exact:
        ids = ", ".join(n.info.node_id for n in found)
        text = f"multiple nodes found for prefix: {id_prefix}, matching IDs: [{ids}]"
        raise Conflict(text, hint="use a longer prefix", component=COMPONENT, code="MultipleNodesFound")
    return orch.cluster.shown((exact or found)[0])


async def on_request(orch: Orchestrator, delivery: Delivery) -> Model:
    """Answers a node's control or content request."""
    message = delivery.message
    if isinstance(message, m.HandshakeRequest):
        return await _on_handshake(orch, delivery.node_id, message)
    if isinstance(message, m.RunningRequest):
        return await _on_running(orch, delivery.node_id, message)
    if isinstance(message, m.HeartbeatRequest):
        return _on_heartbeat(orch, delivery.node_id, message)
    if isinstance(message, m.UpdateNodeInfoRequest):
        return await _on_node_info(orch, delivery.node_id, message.node_info)
    if isinstance(message, m.ShutdownNoticeRequest):
        on_gone(orch, delivery.node_id, message.reason or "the node is shutting down")
        return m.ShutdownNoticeResponse(last_compute_seq_num=orch.cluster.number(delivery.node_id))
    if isinstance(message, m.PublishRequest):
        return await answer_publish(orch, delivery.node_id, message)
    _check_member(orch, delivery.node_id)
    return await _answer_member(orch, delivery)


async def _answer_member(orch: Orchestrator, delivery: Delivery) -> Model:
    message = delivery.message
    if isinstance(message, m.PutLogsRequest):
        return await orch.logs.on_put_logs(orch.store, delivery.node_id, message)
    if isinstance(message, PreSignURLRequest):
        return await answer_upload(orch, delivery.node_id, message)
    if isinstance(message, SignInputRequest):
        return await answer_input(orch, delivery.node_id, message)
    if isinstance(message, m.KeepPageRequest):
        return await keep_page(orch, delivery.node_id, message)
    answer = await answer_content(orch.content, message)
    if answer is None:
        raise BadRequest(f"an orchestrator does not answer {delivery.type}")
    return answer


def _check_member(orch: Orchestrator, node_id: str) -> None:
    node = orch.cluster.get(node_id)
    if node is None or node.membership != APPROVED:
        raise Forbidden(f"node {node_id} is not an approved member of this network", component=COMPONENT)


async def _on_handshake(orch: Orchestrator, node_id: str, request: m.HandshakeRequest) -> m.HandshakeResponse:
    info = request.node_info
    if info.node_id != node_id or info.node_type != "Compute":
        return m.HandshakeResponse(
            accepted=False, reason=f"node {node_id} may not register as {info.node_type.lower()} node {info.node_id}"
        )
    _check_labels(info)
    async with orch.cluster.turn(node_id) as has_left:
        known = orch.cluster.get(node_id)
        if known is not None and known.membership == REJECTED:
            return m.HandshakeResponse(accepted=False, reason=f"node {node_id} was rejected. {known.message}".strip())
        stop = await _reconcile(orch, node_id, request.running, request.running_after)
        joined = partial(_joined, orch, request, rfc3339(now_ns()))
        node = await change_in_turn(orch, node_id, joined, has_left, NodeState(membership=orch.gate.first_membership))
    orch.cluster.heard(node_id, now_ns())
    if node.connection_state.status != CONNECTED:
        raise Unavailable(f"the connection of node {node_id} ended while it registered")
    orch.cluster.numbers(node_id).resume()
    log.info("node %s joined%s", node_id, "" if node.membership == APPROVED else " and waits for approval")
    return m.HandshakeResponse(
        accepted=True,
        reason="node registered" if node.membership == APPROVED else "node registered, it waits for approval",
        last_compute_seq_num=node.connection_state.last_compute_seq_num,
        last_orchestrator_seq_num=node.connection_state.last_orchestrator_seq_num,
        stop=stop or None,
        fenced=True,
    )


def _check_labels(info: NodeInfo) -> None:
    """Raise BadRequest for labels that would do something to a terminal."""
    if problems := label_problems(info.labels or {}, "label"):
        raise BadRequest(problems, hint=f"change Labels in the configuration of {info.node_id}", component=COMPONENT)


async def _on_running(orch: Orchestrator, node_id: str, request: m.RunningRequest) -> m.RunningResponse:
    """Compare a piece of what the node has in hand; the handshake that follows brings the last one."""
    async with orch.cluster.turn(node_id):
        known = orch.cluster.get(node_id)
        if known is not None and known.membership == REJECTED:
            raise Forbidden(f"node {node_id} was rejected. {known.message}".strip(), component=COMPONENT)
        stop = await _reconcile(orch, node_id, request.running, request.after, request.until)
    return m.RunningResponse(stop=stop)


def _joined(orch: Orchestrator, request: m.HandshakeRequest, now: str, known: NodeState) -> NodeState:
    """Return the node as a connected one that is as it describes itself; what people decided about it stays."""
    info = request.node_info
    state = ConnectionState(
        status=CONNECTED,
        last_heartbeat=now,
        connected_since=now,
        last_compute_seq_num=orch.cluster.number(info.node_id),
        last_orchestrator_seq_num=request.last_orchestrator_seq_num or known.connection_state.last_orchestrator_seq_num,
    )
    return msgspec.structs.replace(
        known,
        info=relabelled(info, known.label_changes),
        connection=CONNECTED,
        connection_state=state,
        native=request.running is not None,
    )


async def _reconcile(
    orch: Orchestrator, node_id: str, running: tuple[str, ...] | None, after: str, until: str = ""
) -> tuple[str, ...]:
    """Compare what the node still has with what it should have: returns what it must stop; fails what it has forgotten.

    Only executions whose ids come after `after`, and not after `until` where that is given, are compared. It cannot
    have forgotten what it was not sent yet, nor what is just being placed there.
    """
    if running is None:
        return ()
    held = {e for e in orch.cluster.held_on(node_id) if e > after and (not until or e <= until)}
    forgotten = held - set(running) - orch.outbox.starts(node_id) - orch.placing
    await gather_bounded(AT_ONCE, [partial(_fail_forgotten, orch, execution_id) for execution_id in forgotten])
    return tuple(e for e in running if e not in held)


async def _fail_forgotten(orch: Orchestrator, execution_id: str) -> None:
    """Fail an execution of which its node knows nothing, however often others write it meanwhile."""
    while True:
        execution, job = await orch.store.load_execution(execution_id)
        if not execution.is_live:
            return
        try:
            await orch.commit(_forgotten(execution))
        except Conflict:
            continue
        orch.queue.add(job.id)
        return


def _forgotten(execution: Execution) -> Change:
    text = "the node came back without a record of this execution"
    details = {"Retryable": "true", "IsError": "true", FAILURE_KIND: NODE_LOST}
    failed = execution.moved(ComputeStateType.FAILED, now_ns(), text, details=details, why="node lost")
    entry = HistoryEntry(
        job_id=execution.job_id,
        job_version=execution.job_version,
        event=make_event(Topic.RESTART, text, now_ns(), **details),
        execution_id=execution.id,
    )
    # What it was sent may have reached it since it told what it has.
    cancel = OutgoingMessage(
        node_id=execution.node_id, type="CancelExecution", body=encode(m.CancelExecution(execution_id=execution.id))
    )
    return Change(executions=(failed,), history=(entry,), messages=(cancel,))


def _on_heartbeat(orch: Orchestrator, node_id: str, request: m.HeartbeatRequest) -> m.HeartbeatResponse:
    node = require_connected(orch, node_id)
    now = now_ns()
    orch.cluster.heard(node_id, now)
    orch.cluster.note_cache(node_id, request.cached_bytes)
    compute = msgspec.structs.replace(
        node.info.compute, available_capacity=request.available_capacity, queue_capacity=request.queue_used_capacity
    )
    state = msgspec.structs.replace(
        node.connection_state, last_heartbeat=rfc3339(now), last_orchestrator_seq_num=request.last_orchestrator_seq_num
    )
    info = msgspec.structs.replace(node.info, compute_node_info=compute)
    note_node(orch, node_id, lambda known: msgspec.structs.replace(known, info=info, connection_state=state))
    return m.HeartbeatResponse(last_compute_seq_num=orch.cluster.number(node_id))


async def _on_node_info(orch: Orchestrator, node_id: str, info: NodeInfo) -> m.UpdateNodeInfoResponse:
    if info.node_id != node_id:
        raise BadRequest(f"node {node_id} may not describe node {info.node_id}", component=COMPONENT)
    _check_labels(info)
    async with orch.cluster.turn(node_id) as has_left:
        before = require_connected(orch, node_id).info
        await change_in_turn(orch, node_id, partial(_described, info), has_left)
    _log_engines(before, info)
    return m.UpdateNodeInfoResponse(accepted=True)


def _log_engines(before: NodeInfo, after: NodeInfo) -> None:
    """Log which engines a node lost, with its reason, and which it has again."""
    had, has = set(before.compute.execution_engines or ()), set(after.compute.execution_engines or ())
    for name in sorted(had - has):
        reason = after.compute.unavailable.get(f"{name} engine", "")
        log.warning("node %s takes no %s jobs any more%s", after.node_id, name, f": {reason}" if reason else "")
    for name in sorted(has - had):
        log.info("node %s takes %s jobs again", after.node_id, name)


def _described(info: NodeInfo, known: NodeState) -> NodeState:
    return msgspec.structs.replace(known, info=relabelled(info, known.label_changes))


def on_gone(orch: Orchestrator, node_id: str, reason: str = "the connection was closed") -> None:
    """The node's connection ended: no new work for it; after the grace its executions are placed elsewhere."""
    orch.cluster.depart(node_id)
    node = orch.cluster.get(node_id)
    if node is None or node.connection_state.status == DISCONNECTED:
        return
    note_node(orch, node_id, lambda known: disconnected(known, reason))
    log.info("node %s left: %s", node_id, reason)


async def load_nodes(orch: Orchestrator) -> None:
    """Load all known nodes at start. None counts as connected until it shakes hands; who was, is away from now on."""
    now = now_ns()
    for node in await orch.store.list_nodes():
        before = node.connection_state
        was_here = before.status == CONNECTED or before.disconnected_since == ZERO_TIME
        state = msgspec.structs.replace(
            before,
            status=DISCONNECTED,
            connected_since=ZERO_TIME,
            disconnected_since=rfc3339(now) if was_here else before.disconnected_since,
        )
        away = msgspec.structs.replace(node, connection=DISCONNECTED, connection_state=state)
        orch.cluster.put(away, now + orch.rejoin_ns)
