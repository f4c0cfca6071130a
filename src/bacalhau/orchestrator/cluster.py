"""The nodes as they are now, and what is reserved on each: in memory, rebuilt from the store at start.

Reserving here at the moment of placement is what keeps a burst of jobs from overbooking a node.
"""

from typing import NamedTuple

from bacalhau.models.execution import Execution
from bacalhau.models.node import CONNECTED, NodeState
from bacalhau.models.resources import Resources
from bacalhau.orchestrator.scheduling.view import Seat


class Held(NamedTuple):
    """What one live execution has reserved where."""

    node_id: str
    job_id: str
    need: Resources


class Cluster:
    def __init__(self, grace_ns: int) -> None:
        self._grace_ns = grace_ns
        self._nodes: dict[str, NodeState] = {}
        self._away_since: dict[str, int] = {}
        self._held: dict[str, Held] = {}
        self._reserved: dict[str, Resources] = {}

    def put(self, node: NodeState, now: int) -> None:
        node_id = node.info.node_id
        self._nodes[node_id] = node
        if node.connection_state.status == CONNECTED:
            self._away_since.pop(node_id, None)
        else:
            self._away_since.setdefault(node_id, now)

    def get(self, node_id: str) -> NodeState | None:
        return self._nodes.get(node_id)

    def nodes(self) -> list[NodeState]:
        return list(self._nodes.values())

    def hold(self, execution: Execution) -> None:
        """Reserve for a live execution; once per execution."""
        if execution.id not in self._held:
            need = execution.reserved
            self._held[execution.id] = Held(execution.node_id, execution.job_id, need)
            self._reserved[execution.node_id] = self._reserved.get(execution.node_id, Resources()).plus(need)

    def release(self, execution_id: str) -> bool:
        """Give back what an execution held; False when it held nothing."""
        held = self._held.pop(execution_id, None)
        if held is None:
            return False
        self._reserved[held.node_id] = self._reserved[held.node_id].minus(held.need)
        return True

    def held_on(self, node_id: str) -> list[str]:
        return [execution_id for execution_id, held in self._held.items() if held.node_id == node_id]

    def jobs_on(self, node_id: str) -> set[str]:
        return {held.job_id for held in self._held.values() if held.node_id == node_id}

    def seats(self, now: int) -> list[Seat]:
        return [
            Seat(node, node.info.compute.max_capacity.minus(self._reserved.get(node_id, Resources())), self.is_lost(node_id, now))
            for node_id, node in self._nodes.items()
            if node.info.node_type == "Compute"
        ]

    def is_lost(self, node_id: str, now: int) -> bool:
        """Away for longer than the grace."""
        return now - self._away_since.get(node_id, now) > self._grace_ns
