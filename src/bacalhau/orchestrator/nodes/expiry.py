"""Nodes that left for good are forgotten, so that a network whose machines come and go does not grow for ever."""

import logging
from contextlib import suppress

from bacalhau.lib.clock import from_rfc3339, now_ns
from bacalhau.lib.errors import NotFound
from bacalhau.models.node.node import DISCONNECTED, NodeState
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.change import delete_node, update_node
from bacalhau.orchestrator.state.limits import SECOND

COMES_BACK = 3600 * SECOND  # ns that every node gets after a start of the orchestrator, however long it was away
log = logging.getLogger(__name__)


class Expiry:
    """Deletes nodes that were away for too long, and keeps in the store since when the others are away."""

    def __init__(self, orch: Orchestrator) -> None:
        self._orch = orch
        self._stored: dict[str, str] = {}

    async def forget_absent(self) -> None:
        """Delete the nodes whose absence is beyond the limit, with the messages that wait for them."""
        orch, age = self._orch, self._orch.retention.nodes_age
        if not age:
            return
        before = now_ns() - int(age * SECOND)
        gone = set(orch.cluster.idle_and_away(now_ns() - COMES_BACK))
        for node in orch.cluster.nodes():
            node_id, state = node.info.node_id, node.connection_state
            if node.info.node_type != "Compute" or state.status != DISCONNECTED:
                continue
            with suppress(NotFound):  # somebody deleted it meanwhile
                if node_id in gone and self._is_expired(node, before):
                    await self._delete(node_id, before)
                elif self._stored.get(node_id) != state.disconnected_since:
                    await update_node(orch, node_id, lambda known: known)
                    self._stored[node_id] = state.disconnected_since

    async def _delete(self, node_id: str, before: int) -> None:
        if await delete_node(self._orch, node_id, lambda node: self._is_expired(node, before)):
            self._stored.pop(node_id, None)
            log.info("node %s is deleted: it is away for too long, and comes back as a new one", node_id)

    def _is_expired(self, node: NodeState, before: int) -> bool:
        """Tell whether the node is away since then, has no work, and would come back as it is: no decision is lost."""
        undecided = node.membership == self._orch.gate.first_membership and not (node.cordoned or node.label_changes)
        state = node.connection_state
        is_away = state.status == DISCONNECTED and from_rfc3339(state.disconnected_since) < before
        return undecided and is_away and not self._orch.cluster.held_on(node.info.node_id)
