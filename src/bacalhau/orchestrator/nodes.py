"""Nodes come, beat, change and go: membership, reconciliation and the answers to control requests."""

import logging

import msgspec

from bacalhau.lib.clock import ZERO_TIME, now_ns, rfc3339
from bacalhau.lib.errors import BadRequest, Conflict, NotFound
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.wire import Model, decode
from bacalhau.models import messages as m
from bacalhau.models.event import Topic, make_event
from bacalhau.models.execution import ComputeStateType
from bacalhau.models.node import APPROVED, CONNECTED, DISCONNECTED, ConnectionState, NodeInfo, NodeState
from bacalhau.models.plan import Change, HistoryEntry
from bacalhau.orchestrator.content import answer_content
from bacalhau.orchestrator.service import WAKE_AT_ONCE, Orchestrator
from bacalhau.ports.bus import Delivery

HEARTBEAT_LIMIT_NS = 60_000_000_000
log = logging.getLogger(__name__)


async def list_nodes(orch: Orchestrator) -> list[NodeState]:
    return orch.cluster.nodes()


async def get_node(orch: Orchestrator, id_prefix: str) -> NodeState:
    """By id or unique prefix. Raises NotFound, Conflict."""
    found = [n for n in orch.cluster.nodes() if n.info.node_id.startswith(id_prefix)]
    exact = [n for n in found if n.info.node_id == id_prefix]
    if not found:
        raise NotFound(f"node not found: {id_prefix}", component="NodesManager")
    if len(found) > 1 and not exact:
        ids = ", ".join(n.info.node_id for n in found)
        raise Conflict(f"multiple nodes found for prefix: {id_prefix}, matching IDs: [{ids}]", hint="use a longer prefix", component="NodesManager")
    return (exact or found)[0]


async def on_request(orch: Orchestrator, delivery: Delivery) -> Model:
    """Answers a node's control or content request."""
    message = delivery.message
    if isinstance(message, m.HandshakeRequest):
        return await _on_handshake(orch, delivery.node_id, message)
    if isinstance(message, m.HeartbeatRequest):
        return _on_heartbeat(orch, delivery.node_id, message)
    if isinstance(message, m.UpdateNodeInfoRequest):
        return await _on_node_info(orch, delivery.node_id, message.node_info)
    if isinstance(message, m.ShutdownNoticeRequest):
        on_gone(orch, delivery.node_id, message.reason)
        return m.ShutdownNoticeResponse()
    answer = await answer_content(orch.content, message)
    if answer is None:
        raise BadRequest(f"an orchestrator does not answer {delivery.type}")
    return answer


async def _on_handshake(orch: Orchestrator, node_id: str, request: m.HandshakeRequest) -> m.HandshakeResponse:
    info = request.node_info
    if info.node_id != node_id:
        return m.HandshakeResponse(accepted=False, reason=f"node {node_id} may not register as {info.node_id}")
    known = orch.cluster.get(node_id)
    stop = await _reconcile(orch, node_id, request.running)
    now = now_ns()
    state = ConnectionState(status=CONNECTED, last_heartbeat=rfc3339(now), connected_since=rfc3339(now))
    node = NodeState(info=info, membership=known.membership if known else APPROVED, connection=CONNECTED, connection_state=state)
    reach(Point.JOINING)
    await orch.store.put_node(node, orch.gate.new_secret(node_id))
    reach(Point.JOINED)
    orch.cluster.put(node, now)
    orch.lanes.open(node_id)
    orch.queue.wake(max(WAKE_AT_ONCE, orch.queue.waiting))
    log.info("node %s joined", node_id)
    return m.HandshakeResponse(accepted=True, reason="node registered", stop=stop or None)


async def _reconcile(orch: Orchestrator, node_id: str, running: tuple[str, ...] | None) -> tuple[str, ...]:
    """Compare what the node still has with what it should have: returns what it must stop; fails what it has forgotten."""
    if running is None:
        return ()
    held = set(orch.cluster.held_on(node_id))
    unsent = {decode(msg.body, m.AskForBid).execution.id for msg in orch.lanes.lane(node_id).unacknowledged() if msg.type == "AskForBid"}
    for execution_id in held - set(running) - unsent:
        await _fail_forgotten(orch, execution_id)
    return tuple(e for e in running if e not in held)


async def _fail_forgotten(orch: Orchestrator, execution_id: str) -> None:
    execution, job = await orch.store.load_execution(execution_id)
    if not execution.is_live:
        return
    text = "the node came back without a record of this execution"
    details = {"Retryable": "true", "IsError": "true"}
    failed = execution.moved(ComputeStateType.FAILED, now_ns(), text, details=details, why="node lost")
    event = make_event(Topic.RESTART, text, now_ns(), **details)
    entry = HistoryEntry(job_id=job.id, job_version=execution.job_version, event=event, execution_id=execution_id)
    await orch.commit(Change(executions=(failed,), history=(entry,)))
    orch.queue.add(job.id)


def _on_heartbeat(orch: Orchestrator, node_id: str, request: m.HeartbeatRequest) -> m.HeartbeatResponse:
    node = orch.cluster.get(node_id)
    if node is None or node.connection_state.status != CONNECTED:
        raise Conflict(f"node {node_id} not connected - handshake required", component="NodesManager")
    now = now_ns()
    compute = msgspec.structs.replace(
        node.info.compute, available_capacity=request.available_capacity, queue_capacity=request.queue_used_capacity
    )
    state = msgspec.structs.replace(
        node.connection_state, last_heartbeat=rfc3339(now), last_orchestrator_seq_num=request.last_orchestrator_seq_num
    )
    info = msgspec.structs.replace(node.info, compute_node_info=compute)
    orch.cluster.put(msgspec.structs.replace(node, info=info, connection_state=state), now)
    return m.HeartbeatResponse(last_compute_seq_num=state.last_compute_seq_num)


async def _on_node_info(orch: Orchestrator, node_id: str, info: NodeInfo) -> m.UpdateNodeInfoResponse:
    node = orch.cluster.get(node_id)
    if node is None or info.node_id != node_id:
        raise Conflict(f"node {node_id} not connected - handshake required", component="NodesManager")
    updated = msgspec.structs.replace(node, info=info)
    await orch.store.put_node(updated, "")
    orch.cluster.put(updated, now_ns())
    orch.queue.wake(max(WAKE_AT_ONCE, orch.queue.waiting))
    return m.UpdateNodeInfoResponse(accepted=True)


def on_gone(orch: Orchestrator, node_id: str, reason: str = "the connection was closed") -> None:
    """The node's connection ended: no new work for it; after the grace its executions are placed elsewhere."""
    node = orch.cluster.get(node_id)
    if node is None or node.connection_state.status == DISCONNECTED:
        return
    now = now_ns()
    state = msgspec.structs.replace(node.connection_state, status=DISCONNECTED, disconnected_since=rfc3339(now), last_error=reason)
    orch.cluster.put(msgspec.structs.replace(node, connection=DISCONNECTED, connection_state=state), now)
    orch.lanes.close(node_id)
    log.info("node %s left: %s", node_id, reason)


async def load_nodes(orch: Orchestrator) -> None:
    """At start: all known nodes, none of them connected until it shakes hands."""
    for node in await orch.store.list_nodes():
        state = msgspec.structs.replace(node.connection_state, status=DISCONNECTED, connected_since=ZERO_TIME)
        orch.cluster.put(msgspec.structs.replace(node, connection=DISCONNECTED, connection_state=state), now_ns())
