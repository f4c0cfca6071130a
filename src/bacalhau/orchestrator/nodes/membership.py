"""Decisions of people about nodes: membership, cordon, drain and labels."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec

from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import BacalhauError, BadRequest, Conflict, NotFound
from bacalhau.lib.wire import encode
from bacalhau.models.job.label import label_problem
from bacalhau.models.node.node import APPROVED, REJECTED, Drain, NodeState, relabelled
from bacalhau.models.wire.messages import CancelExecution
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.change import delete_node, disconnected, update_node
from bacalhau.orchestrator.nodes.handshake import get_node

APPROVE, REJECT, DELETE = "approve", "reject", "delete"
ACTIONS = (APPROVE, REJECT, DELETE, "cordon", "uncordon", "drain", "labels")
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


Decide = Callable[[NodeState, NodeChange, int], NodeState]
"""Turns a node into what it is after the change, made at a time in Unix ns. Raises Conflict."""


async def change_node(orch: Orchestrator, id_prefix: str, change: NodeChange) -> None:
    """Do with a node what somebody decided; it is durable on return. Raises BadRequest, NotFound, Conflict."""
    action = change.action.strip().lower()
    if problems := _problems(change, known=action in ACTIONS):
        raise BadRequest(problems, hint=f"known actions: {', '.join(ACTIONS)}", component=COMPONENT)
    info = (await get_node(orch, id_prefix)).info
    if info.node_type != "Compute":
        text = f"node {info.node_id} is an orchestrator: there is nothing to {change.action}"
        raise BadRequest(text, component=COMPONENT)
    if action == DELETE:
        await delete_node(orch, info.node_id)
    else:
        now = now_ns()
        await update_node(orch, info.node_id, lambda node: _DECISIONS[action](node, change, now))
    log.info("node %s: %s%s", info.node_id, action, f" ({change.message})" if change.message else "")
    if action in (DELETE, REJECT):
        await _send_away(orch, info.node_id)
    elif action == APPROVE:
        await orch.bus.disconnect(info.node_id)  # it comes back at once, with the rights of a member


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
    """List the problems of labels that are set. A label that is taken away may be called anything: a node's own
    configuration may have set it.
    """
    new = ((key, value) for key, value in labels.items() if key.strip() and value is not None)
    return [f"field 'Labels': {problem}" for key, value in new if (problem := label_problem(key, value))]


async def _send_away(orch: Orchestrator, node_id: str) -> None:
    """Stop what runs on a node that is no member any more, where it still listens, and close its connection."""
    held = orch.cluster.held_on(node_id)
    try:
        async with asyncio.timeout(STOP_WAIT):
            await together(
                *(orch.bus.send(node_id, "CancelExecution", encode(CancelExecution(execution_id=e)), 0) for e in held)
            )
    except (BacalhauError, TimeoutError) as e:
        log.info("node %s could not be told to stop %d executions: %s", node_id, len(held), e)
    await orch.bus.disconnect(node_id)


def _approve(node: NodeState, change: NodeChange, now: int) -> NodeState:
    _check_new(node, APPROVED)
    return msgspec.structs.replace(node, membership=APPROVED, message=change.message)


def _reject(node: NodeState, change: NodeChange, now: int) -> NodeState:
    _check_new(node, REJECTED)
    return msgspec.structs.replace(disconnected(node, "node rejected"), membership=REJECTED, message=change.message)


def _check_new(node: NodeState, membership: str) -> None:
    if node.membership == membership:
        text = f"node {node.info.node_id} already {membership.lower()}"
        raise Conflict(text, component=COMPONENT, code="ConflictNodeState")


def _cordon(node: NodeState, change: NodeChange, now: int) -> NodeState:
    return msgspec.structs.replace(node, cordoned=True, message=change.message)


def _uncordon(node: NodeState, change: NodeChange, now: int) -> NodeState:
    return msgspec.structs.replace(node, cordoned=False, drain=None, message=change.message)


def _drain(node: NodeState, change: NodeChange, now: int) -> NodeState:
    deadline = "" if change.deadline is None else rfc3339(now + change.deadline * SECOND)
    drain = Drain(since=rfc3339(now), deadline=deadline)
    return msgspec.structs.replace(node, cordoned=True, drain=drain, message=change.message)


def _label(node: NodeState, change: NodeChange, now: int) -> NodeState:
    changes = node.label_changes | dict(change.labels or {})
    return msgspec.structs.replace(node, info=relabelled(node.info, changes), label_changes=changes)


_DECISIONS: dict[str, Decide] = {
    APPROVE: _approve,
    REJECT: _reject,
    "cordon": _cordon,
    "uncordon": _uncordon,
    "drain": _drain,
    "labels": _label,
}


async def note_drained(orch: Orchestrator) -> None:
    """Note of nodes that are being drained when nothing runs there any more."""
    for node in orch.cluster.nodes():
        if _is_empty(orch, node):
            with suppress(NotFound):  # it was deleted meanwhile
                await update_node(orch, node.info.node_id, partial(_drained, orch, rfc3339(now_ns())))
                log.info("node %s is drained", node.info.node_id)


def _is_empty(orch: Orchestrator, node: NodeState) -> bool:
    return bool(node.drain and not node.drain.drained) and not orch.cluster.held_on(node.info.node_id)


def _drained(orch: Orchestrator, now: str, node: NodeState) -> NodeState:
    if node.drain is None or not _is_empty(orch, node):
        return node
    return msgspec.structs.replace(node, drain=msgspec.structs.replace(node.drain, drained=now))
