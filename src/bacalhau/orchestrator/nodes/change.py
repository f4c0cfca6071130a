"""The one way in which a node changes.

Some facts about a node are kept by the store: its description, its membership, what people decided. Others are known
in memory alone and change at any moment: whether it is connected, and when it was last heard of. A durable change is
therefore a function that is applied twice: to the node as it was, for the store, and, once that is written, to the
node as it is by then, for memory. So a connection that ended during the write stays ended.
"""

from collections.abc import Callable

import msgspec

from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import HandshakeRequired, NotFound
from bacalhau.lib.failpoint import Point, reach
from bacalhau.models.node.node import APPROVED, CONNECTED, DISCONNECTED, NodeState
from bacalhau.orchestrator.core import Orchestrator

Change = Callable[[NodeState], NodeState]
"""Turns a node into the changed one. May raise, and then nothing happens."""


async def update_node(orch: Orchestrator, node_id: str, change: Change) -> None:
    """Change a node durably, one change of a node at a time. Raises NotFound when there is no such node."""
    async with orch.cluster.turn(node_id) as has_left:
        await change_in_turn(orch, node_id, change, has_left)


async def change_in_turn(
    orch: Orchestrator, node_id: str, change: Change, has_left: Callable[[], bool], new: NodeState | None = None
) -> NodeState:
    """Change a node in a turn that the caller holds (see `Cluster.turn`); returns it as it is then.

    `new` is what is changed where there is no such node; without it NotFound is raised.
    """
    wanted = change(_find(orch, node_id, new))
    reach(Point.JOINING)
    await orch.store.put_node(wanted, orch.gate.new_secret(node_id))
    orch.gate.forget(node_id)
    reach(Point.JOINED)
    after = change(_find(orch, node_id, new))
    if has_left():
        after = disconnected(after, "the connection was closed")
    _remember(orch, after)
    if after.membership != APPROVED or after.drain:
        _reconsider_work(orch, node_id)
    return after


async def delete_node(orch: Orchestrator, node_id: str, may: Callable[[NodeState], bool] = lambda node: True) -> bool:
    """Forget a node, with the messages that wait for it; False when `may` says no. Raises NotFound.

    Should it come back, it is a new one.
    """
    async with orch.cluster.turn(node_id):
        if not may(_find(orch, node_id)):
            return False
        await orch.store.delete_node(node_id)
        orch.gate.forget(node_id)
        orch.cluster.forget(node_id)
        orch.outbox.forget(node_id)
        _reconsider_work(orch, node_id)
        return True


def _find(orch: Orchestrator, node_id: str, new: NodeState | None = None) -> NodeState:
    node = orch.cluster.get(node_id) or new
    if node is None:
        raise NotFound(f"node not found: {node_id}", component="NodesManager")
    return node


def _reconsider_work(orch: Orchestrator, node_id: str) -> None:
    """Evaluate the jobs that have executions there: these may have to leave."""
    for job_id in orch.cluster.jobs_on(node_id):
        orch.queue.add(job_id)


def note_node(orch: Orchestrator, node_id: str, change: Change) -> None:
    """Change at once what only memory knows of a node: its connection. Does nothing when there is no such node."""
    node = orch.cluster.get(node_id)
    if node is not None:
        _remember(orch, change(node))


def require_connected(orch: Orchestrator, node_id: str) -> NodeState:
    """Return the node. Raises HandshakeRequired when it does not count as connected."""
    node = orch.cluster.get(node_id)
    if node is None or node.connection_state.status != CONNECTED:
        raise HandshakeRequired(f"node {node_id} not connected - handshake required", component="NodesManager")
    return node


def _remember(orch: Orchestrator, node: NodeState) -> None:
    orch.cluster.put(node, now_ns())
    if node.connection_state.status == CONNECTED:
        orch.outbox.open(node.info.node_id)
    else:
        orch.outbox.close(node.info.node_id)


def disconnected(node: NodeState, reason: str) -> NodeState:
    """Return the node as one that is away; it keeps the time and the reason of its first disconnection."""
    if node.connection_state.status == DISCONNECTED:
        return node
    state = msgspec.structs.replace(
        node.connection_state, status=DISCONNECTED, disconnected_since=rfc3339(now_ns()), last_error=reason
    )
    return msgspec.structs.replace(node, connection=DISCONNECTED, connection_state=state)
