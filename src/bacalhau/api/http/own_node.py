"""The node of this process, as the agent's routes tell of it.

Every process of the system serves these routes. One with an orchestrator tells what that knows; one that only runs jobs
tells of itself, also while its orchestrator is away.
"""

from dataclasses import dataclass
from typing import Any, Protocol, cast

from litestar.connection import ASGIConnection
from litestar.datastructures import State

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.machine.fingerprint import describe_node
from bacalhau.compute.messages.inbox import CANCELLING, list_active
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.wire import Model, always
from bacalhau.models.execution.execution import AllocatedResources
from bacalhau.models.job.job import JobState
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import CONNECTED, DISCONNECTED, NodeInfo, NodeState
from bacalhau.models.node.version import this_version
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.handshake import list_nodes
from bacalhau.ports.journal import JournalEntry


class ActiveJob(Model):
    id: str = always(factory=str)
    name: str = always(factory=str)
    namespace: str = always(factory=str)
    state: JobState = always(factory=JobState)


class DebugResponse(Model):
    """`active_jobs` are those that have not ended; `waiting_jobs` of them wait for an evaluation.

    `unsent_messages` by node: sent, and not acknowledged yet, or waiting for the node to come back.
    """

    active_jobs: tuple[ActiveJob, ...] = always(factory=tuple)
    waiting_jobs: int = always(factory=int)
    discovered_nodes: tuple[NodeState, ...] = always(factory=tuple)
    unsent_messages: dict[str, int] = always(factory=dict)


class ActiveExecution(Model):
    """An execution that a node has in hand.

    `state` is `started`, also while it waits for room; before that `asked`, `bid` or `accepted`; or `cancelling`.
    """

    execution_id: str = always(factory=str)
    job_id: str = always(factory=str)
    state: str = always(factory=str)
    allocated_resources: AllocatedResources = always(factory=AllocatedResources)


class NodeCapacity(Model):
    """The room of a node: all of it, the part that is free, and what executions wait for."""

    max: Resources = always(factory=Resources)
    available: Resources = always(factory=Resources)
    queued: Resources = always(factory=Resources)


class NodeLink(Model):
    """A node's connection to its orchestrator. `last_error` says why there is none."""

    status: str = always(factory=lambda: DISCONNECTED)
    orchestrators: str = always(factory=str)
    last_error: str = ""


class NodeDebugResponse(Model):
    """The work that a node has in hand. `unsent_reports` wait for the orchestrator's acknowledgement."""

    active_jobs: tuple[ActiveExecution, ...] = always(factory=tuple)
    capacity: NodeCapacity = always(factory=NodeCapacity)
    unsent_reports: int = always(factory=int)
    connection: NodeLink = always(factory=NodeLink)


class OwnNode(Protocol):
    """The node behind the API. `approval` is its membership, "" where that is not known here."""

    @property
    def node_id(self) -> str: ...

    @property
    def approval(self) -> str: ...

    async def describe(self) -> NodeInfo:
        """Tell what the node offers; one that runs no jobs has no compute part."""
        ...

    async def debug(self) -> DebugResponse | NodeDebugResponse:
        """Show the work that this process has in hand."""
        ...

    def running(self) -> dict[str, list[str]]:
        """List the executions that run, by node."""
        ...


def own_node(connection: ASGIConnection[Any, Any, Any, State]) -> OwnNode:
    return cast(OwnNode, connection.app.state.own_node)


@dataclass(frozen=True)
class OrchestratorNode:
    """The node of a process with an orchestrator, which may run jobs too."""

    orch: Orchestrator

    @property
    def node_id(self) -> str:
        return self.orch.node_id

    @property
    def approval(self) -> str:
        known = self.orch.cluster.get(self.node_id)
        return known.membership if known else ""

    async def describe(self) -> NodeInfo:
        known = await list_nodes(self.orch)
        own = next((n.info for n in known if n.info.node_id == self.node_id), None)
        return own or NodeInfo(node_id=self.node_id, node_type="Requester", bacalhau_version=this_version())

    async def debug(self) -> DebugResponse:
        jobs = await self.orch.store.list_open_jobs()
        return DebugResponse(
            active_jobs=tuple(
                ActiveJob(id=job.id, name=job.name, namespace=job.namespace, state=job.state) for job in jobs
            ),
            waiting_jobs=self.orch.queue.waiting,
            discovered_nodes=tuple(await list_nodes(self.orch)),
            unsent_messages=dict(self.orch.outbox.unsent()),
        )

    def running(self) -> dict[str, list[str]]:
        cluster = self.orch.cluster
        return {node.info.node_id: cluster.held_on(node.info.node_id) for node in cluster.nodes()}


@dataclass(frozen=True)
class LoneNode:
    """The node of a process that only runs jobs. `orchestrators` are the addresses at which it joins, with commas."""

    node: ComputeNode
    orchestrators: str

    @property
    def node_id(self) -> str:
        return self.node.node_id

    @property
    def approval(self) -> str:
        return ""

    async def describe(self) -> NodeInfo:
        return await describe_node(self.node)

    async def debug(self) -> NodeDebugResponse:
        capacity, trouble = self.node.capacity, self.node.bus.trouble
        active = [
            ActiveExecution(
                execution_id=entry.execution.id,
                job_id=entry.execution.job_id,
                state=self._state(entry),
                allocated_resources=entry.execution.allocated_resources,
            )
            for entry in await list_active(self.node)
        ]
        return NodeDebugResponse(
            active_jobs=tuple(active),
            capacity=NodeCapacity(max=capacity.total, available=capacity.free, queued=capacity.queued),
            unsent_reports=len(self.node.reports.unsettled()),
            connection=NodeLink(
                status=DISCONNECTED if trouble else CONNECTED,
                orchestrators=without_credentials(self.orchestrators),
                last_error=without_credentials(trouble),
            ),
        )

    def _state(self, entry: JournalEntry) -> str:
        is_started = entry.execution.id in self.node.running and entry.state != CANCELLING
        return "started" if is_started else entry.state or "asked"

    def running(self) -> dict[str, list[str]]:
        return {self.node_id: sorted(self.node.running)}
