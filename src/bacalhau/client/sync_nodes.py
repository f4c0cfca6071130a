"""The verbs of nodes and of the server itself.

Written by `make sync` from `nodes`.
"""

from collections.abc import Mapping
from typing import Any

from bacalhau.client.blocking import Blocking
from bacalhau.client.nodes import NodeVerbs
from bacalhau.models.node.node import NodeInfo, NodeState
from bacalhau.models.node.version import BuildVersion
from bacalhau.models.wire.api import (
    AliveResponse,
    AuthConfigResponse,
    ListCacheResponse,
    ListNodesResponse,
    PruneCacheResponse,
    StorageArea,
)


class SyncNodeVerbs(Blocking):
    """Verbs of nodes and of the server."""

    _client: NodeVerbs

    def nodes(self, **query: Any) -> tuple[NodeState, ...]:
        """`labels` (a selector), `limit`, `next_token`, `order_by`, `reverse`, `filter-approval`, `filter-status`."""
        return self._run(self._client.nodes(**query))

    def list_nodes(self, **query: Any) -> ListNodesResponse:
        """One page; the query as for `nodes`."""
        return self._run(self._client.list_nodes(**query))

    def node(self, node_id: str) -> NodeState:
        """Return a node, named by its id or a unique beginning of it. Raises NotFound."""
        return self._run(self._client.node(node_id))

    def change_node(
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
        return self._run(self._client.change_node(node_id, action, message=message, deadline=deadline, labels=labels))

    def approve(self, node_id: str, message: str = "") -> None:
        """Approve a node that waits for it. Raises NotFound, Conflict when it is approved already."""
        return self._run(self._client.approve(node_id, message))

    def reject(self, node_id: str, message: str = "") -> None:
        """Reject a node, so that it gets no work. Raises NotFound, Conflict when it is rejected already."""
        return self._run(self._client.reject(node_id, message))

    def delete_node(self, node_id: str, message: str = "") -> None:
        """Forget a node. Raises NotFound, Conflict while it is connected."""
        return self._run(self._client.delete_node(node_id, message))

    def cordon(self, node_id: str, message: str = "") -> None:
        """Cordon a node, so that it gets no new work."""
        return self._run(self._client.cordon(node_id, message))

    def uncordon(self, node_id: str, message: str = "") -> None:
        """Let a node have new work again. Raises NotFound, Conflict when it has it already."""
        return self._run(self._client.uncordon(node_id, message))

    def drain(self, node_id: str, message: str = "", *, deadline: int | None = None) -> None:
        """Move a node's work away; what may finish there has `deadline` seconds."""
        return self._run(self._client.drain(node_id, message, deadline=deadline))

    def label_node(self, node_id: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node; None takes one away."""
        return self._run(self._client.label_node(node_id, labels))

    def alive(self) -> AliveResponse:
        """Ask whether the server is there. Raises Unavailable when it is not."""
        return self._run(self._client.alive())

    def version(self) -> BuildVersion:
        """Return the version of the server."""
        return self._run(self._client.version())

    def storage(self) -> tuple[StorageArea, ...]:
        """Tell what the process behind the API keeps on its disk, by area."""
        return self._run(self._client.storage())

    def cached_inputs(self, **query: Any) -> ListCacheResponse:
        """List what the node behind the API keeps of inputs; `limit`, `next_token`."""
        return self._run(self._client.cached_inputs(**query))

    def prune_cache(self, *, most: int | None = None, unused_for: int = 0) -> PruneCacheResponse:
        """Remove inputs that no task uses from the node behind the API: those that were not used for so many seconds,
        and the oldest until `most` bytes are left.
        """
        return self._run(self._client.prune_cache(most=most, unused_for=unused_for))

    def config(self) -> dict[str, Any]:
        """The server's effective configuration, without secrets."""
        return self._run(self._client.config())

    def sign_in(self) -> AuthConfigResponse:
        """Return the identity provider that the server trusts, if any."""
        return self._run(self._client.sign_in())

    def own_node(self) -> NodeInfo:
        """Return the node that serves the API."""
        return self._run(self._client.own_node())
