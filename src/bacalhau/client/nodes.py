"""The verbs of nodes and of the server itself."""

from collections.abc import Callable, Mapping
from typing import Any

from bacalhau.client.conversation import Conversation
from bacalhau.client.transport import path_part
from bacalhau.lib.errors import Conflict
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.node.node import NodeInfo, NodeState
from bacalhau.models.node.version import BuildVersion
from bacalhau.models.wire.api import (
    AliveResponse,
    AuthConfigResponse,
    ConfigResponse,
    GetNodeResponse,
    ListCacheResponse,
    ListNodesResponse,
    PruneCacheRequest,
    PruneCacheResponse,
    PutNodeRequest,
    PutNodeResponse,
    StorageArea,
    StorageResponse,
)
from bacalhau.models.wire.messages import Progress

OnEvent = Callable[[JobHistory | Progress], None]
"""Called for every event of a job, and for each step of an execution, as they become known."""


class NodeVerbs(Conversation):
    """Verbs of nodes and of the server."""

    async def nodes(self, **query: Any) -> tuple[NodeState, ...]:
        """`labels` (a selector), `limit`, `next_token`, `order_by`, `reverse`, `filter-approval`, `filter-status`."""
        return (await self.list_nodes(**query)).nodes

    async def list_nodes(self, **query: Any) -> ListNodesResponse:
        """One page; the query as for `nodes`."""
        return await self.transport.ask(ListNodesResponse, "/orchestrator/nodes", query)

    async def node(self, node_id: str) -> NodeState:
        """Return a node, named by its id or a unique beginning of it. Raises NotFound."""
        return (await self.transport.ask(GetNodeResponse, f"/orchestrator/nodes/{path_part('node', node_id)}")).node

    async def change_node(
        self,
        node_id: str,
        action: str,
        *,
        message: str = "",
        deadline: int | None = None,
        labels: Mapping[str, str | None] | None = None,
    ) -> None:
        """`action` is approve, reject or delete, or of ours cordon, uncordon, drain or labels.

        `deadline` (seconds) belongs to drain, `labels` to labels: None takes one away. Raises NotFound, Conflict when
        it is so already.
        """
        body = PutNodeRequest(
            action=action,
            message=message,
            node_id=node_id,
            deadline=deadline,
            labels=dict(labels) if labels is not None else None,
        )
        answer = await self.transport.tell(
            PutNodeResponse, "PUT", f"/orchestrator/nodes/{path_part('node', node_id)}", body
        )
        if not answer.success:
            raise Conflict(answer.error or f"the server did not {action} node {node_id}")

    async def approve(self, node_id: str, message: str = "") -> None:
        """Approve a node that waits for it. Raises NotFound, Conflict when it is approved already."""
        await self.change_node(node_id, "approve", message=message)

    async def reject(self, node_id: str, message: str = "") -> None:
        """Reject a node, so that it gets no work. Raises NotFound, Conflict when it is rejected already."""
        await self.change_node(node_id, "reject", message=message)

    async def delete_node(self, node_id: str, message: str = "") -> None:
        """Forget a node. Raises NotFound, Conflict while it is connected."""
        await self.change_node(node_id, "delete", message=message)

    async def cordon(self, node_id: str, message: str = "") -> None:
        """Cordon a node, so that it gets no new work."""
        await self.change_node(node_id, "cordon", message=message)

    async def uncordon(self, node_id: str, message: str = "") -> None:
        """Let a node have new work again. Raises NotFound, Conflict when it has it already."""
        await self.change_node(node_id, "uncordon", message=message)

    async def drain(self, node_id: str, message: str = "", *, deadline: int | None = None) -> None:
        """Move a node's work away; what may finish there has `deadline` seconds."""
        await self.change_node(node_id, "drain", message=message, deadline=deadline)

    async def label_node(self, node_id: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node; None takes one away."""
        await self.change_node(node_id, "labels", labels=labels)

    async def alive(self) -> AliveResponse:
        """Ask whether the server is there. Raises Unavailable when it is not."""
        return await self.transport.ask(AliveResponse, "/agent/alive")

    async def version(self) -> BuildVersion:
        """Return the version of the server."""
        return await self.transport.ask(BuildVersion, "/agent/version")

    async def storage(self) -> tuple[StorageArea, ...]:
        """Tell what the process behind the API keeps on its disk, by area."""
        return (await self.transport.ask(StorageResponse, "/agent/storage")).items

    async def cached_inputs(self, **query: Any) -> ListCacheResponse:
        """List what the node behind the API keeps of inputs; `limit`, `next_token`."""
        return await self.transport.ask(ListCacheResponse, "/agent/cache", query)

    async def prune_cache(self, *, most: int | None = None, unused_for: int = 0) -> PruneCacheResponse:
        """Remove inputs that no task uses from the node behind the API: those that were not used for so many seconds,
        and the oldest until `most` bytes are left.
        """
        body = PruneCacheRequest(most=most, unused_for=unused_for)
        return await self.transport.tell(PruneCacheResponse, "PUT", "/agent/cache/prune", body)

    async def config(self) -> dict[str, Any]:
        """The server's effective configuration, without secrets."""
        return (await self.transport.ask(ConfigResponse, "/agent/config")).config

    async def sign_in(self) -> AuthConfigResponse:
        """Return the identity provider that the server trusts, if any."""
        return await self.transport.ask(AuthConfigResponse, "/agent/authconfig")

    async def own_node(self) -> NodeInfo:
        """Return the node that serves the API."""
        return await self.transport.ask(NodeInfo, "/agent/node")
