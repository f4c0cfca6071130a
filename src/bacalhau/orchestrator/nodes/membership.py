"""What people decide about nodes: who is a member, who gets no new work, who is emptied, and how nodes are labelled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import msgspec

from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict
from bacalhau.lib.wire import encode
from bacalhau.models.job.label import label_problem
from bacalhau.models.node.node import APPROVED, DISCONNECTED, REJECTED, Drain, NodeState, relabelled
from bacalhau.models.wire.messages import CancelExecution
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.handshake import get_node

COMPONENT = "NodesManager"
STOP_WAIT = 2.0  # seconds a node that is sent away gets to hear what it shall stop
SECOND = 1_000_000_000
MAX_DEADLINE = 10**9  # seconds
log = logging.getLogger(__name__)


class NodeChange(NamedTuple):
    """`deadline` in seconds, for drain; `labels`, for labels: None takes one away."""

    action: str
    message: str = ""
    deadline: int | None = None
    labels: Mapping[str, str | None] | None = None


Act = Callable[[Orchestrator, NodeState, NodeChange], Awaitable[None]]


async def change_node(orch: Orchestrator, id_prefix: str, change: NodeChange) -> None:
    """Durable on return. Raises BadRequest, NotFound, Conflict."""
    act = _ACTIONS.get(change.action.strip().lower())
    problems = _problems(change, known=act is not None)
    if act is None or problems:
        raise BadRequest(problems, hint=f"known actions: {', '.join(_ACTIONS)}", component=COMPONENT)
    found = await get_node(orch, id_prefix)
    node_id = found.info.node_id
    if found.info.node_type != "Compute":
        raise BadRequest(f"node {node_id} is an orchestrator: there is nothing to {change.action}", component=COMPONENT)
    async with orch.cluster.lock(node_id):
        await act(orch, orch.cluster.get(node_id) or found, change)
    log.info("node %s: %s%s", node_id, change.action, f" ({change.message})" if change.message else "")


def _problems(change: NodeChange, *, known: bool) -> list[str]:
    action = change.action.strip().lower()
    problems = [] if known else [f"unknown action '{change.action}'" if action else "field 'Action' is missing"]
    if change.deadline is not None and (action != "drain" or not 0 <= change.deadline <= MAX_DEADLINE):
        problems.append(
            f"field 'Deadline' is a number of seconds up to {MAX_DEADLINE} for the action drain, not {change.deadline}"
            f" for '{action}'"
        )
    if change.labels is not None and action != "labels":
        problems.append(f"field 'Labels' belongs to the action labels, not to '{action}'")
    if action == "labels" and not change.labels:
        problems.append("field 'Labels' is missing: a map from label to value, null to take a label away")
    if any(not name.strip() for name in change.labels or ()):
        problems.append("field 'Labels': a label without a name")
    return problems + _label_problems(change.labels or {})


def _label_problems(labels: Mapping[str, str | None]) -> list[str]:
    """What is taken away may be called anything: a node's own configuration may have set it."""
    new = ((key, value) for key, value in labels.items() if key.strip() and value is not None)
    return [f"field 'Labels': {problem}" for key, value in new if (problem := label_problem(key, value))]


async def _approve(orch: Orchestrator, node: NodeState, change: NodeChange) -> None:
    if node.membership == APPROVED:
        raise Conflict(f"node {node.info.node_id} already approved", component=COMPONENT, code="ConflictNodeState")
    await _keep(orch, msgspec.structs.replace(node, membership=APPROVED, message=change.message))
    await orch.bus.disconnect(node.info.node_id)  # it comes back at once, with the rights of a member


async def _reject(orch: Orchestrator, node: NodeState, change: NodeChange) -> None:
    if node.membership == REJECTED:
        raise Conflict(f"node {node.info.node_id} already rejected", component=COMPONENT, code="ConflictNodeState")
    state = msgspec.structs.replace(
        node.connection_state, status=DISCONNECTED, disconnected_since=rfc3339(now_ns()), last_error="node rejected"
    )
    rejected = msgspec.structs.replace(
        node, membership=REJECTED, connection=DISCONNECTED, connection_state=state, message=change.message
    )
    await _keep(orch, rejected)
    await _send_away(orch, node.info.node_id)


async def _delete(orch: Orchestrator, node: NodeState, change: NodeChange) -> None:
    node_id = node.info.node_id
    await orch.store.delete_node(node_id)
    orch.gate.forget(node_id)
    orch.cluster.forget(node_id)
    await _send_away(orch, node_id)
    orch.outbox.forget(node_id)


async def _send_away(orch: Orchestrator, node_id: str) -> None:
    """Its work is placed elsewhere; what runs there is stopped, where it still listens."""
    held = orch.cluster.held_on(node_id)
    orch.outbox.close(node_id)
    for job_id in orch.cluster.jobs_on(node_id):
        orch.queue.add(job_id)
    try:
        async with asyncio.timeout(STOP_WAIT):
            await together(
                *(orch.bus.send(node_id, "CancelExecution", encode(CancelExecution(execution_id=e)), 0) for e in held)
            )
    except (BacalhauError, TimeoutError) as e:
        log.info("node %s could not be told to stop %d executions: %s", node_id, len(held), e)
    await orch.bus.disconnect(node_id)


async def _cordon(orch: Orchestrator, node: NodeState, change: NodeChange) -> None:
    await _keep(orch, msgspec.structs.replace(node, cordoned=True, message=change.message))


async def _uncordon(orch: Orchestrator, node: NodeState, change: NodeChange) -> None:
    await _keep(orch, msgspec.structs.replace(node, cordoned=False, drain=None, message=change.message))


async def _drain(orch: Orchestrator, node: NodeState, change: NodeChange) -> None:
    now = now_ns()
    drain = Drain(
        since=rfc3339(now), deadline="" if change.deadline is None else rfc3339(now + change.deadline * SECOND)
    )
    await _keep(orch, msgspec.structs.replace(node, cordoned=True, drain=drain, message=change.message))
    for job_id in orch.cluster.jobs_on(node.info.node_id):
        orch.queue.add(job_id)


async def _label(orch: Orchestrator, node: NodeState, change: NodeChange) -> None:
    changes = node.label_changes | dict(change.labels or {})
    await _keep(orch, msgspec.structs.replace(node, info=relabelled(node.info, changes), label_changes=changes))


async def _keep(orch: Orchestrator, node: NodeState) -> None:
    await orch.store.put_node(node, "")
    orch.cluster.put(node, now_ns())


async def note_drained(orch: Orchestrator) -> None:
    """Say of nodes that are being drained when nothing runs there any more."""
    for node in orch.cluster.nodes():
        if node.drain and not node.drain.drained and not orch.cluster.held_on(node.info.node_id):
            async with orch.cluster.lock(node.info.node_id):
                await _note_drained(orch, node.info.node_id)


async def _note_drained(orch: Orchestrator, node_id: str) -> None:
    node = orch.cluster.get(node_id)
    if node and node.drain and not node.drain.drained:
        drained = msgspec.structs.replace(node.drain, drained=rfc3339(now_ns()))
        await _keep(orch, msgspec.structs.replace(node, drain=drained))
        log.info("node %s is drained", node_id)


_ACTIONS: dict[str, Act] = {
    "approve": _approve,
    "reject": _reject,
    "delete": _delete,
    "cordon": _cordon,
    "uncordon": _uncordon,
    "drain": _drain,
    "labels": _label,
}
