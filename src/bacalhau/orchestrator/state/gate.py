"""Decisions which nodes may connect, under which id, and with which rights. The first secret a node id presents is its
own until it is deleted.
"""

import hashlib
import hmac

from bacalhau.lib.errors import Unauthorized
from bacalhau.models.node.node import APPROVED, PENDING, REJECTED
from bacalhau.ports.store import NodeStore


class Gate:
    """`token` "" lets any node in that does not take another's id.

    `manual`: new nodes wait until somebody approves them.
    """

    def __init__(self, store: NodeStore, token: str, *, manual: bool = False) -> None:
        self._store = store
        self._token = token
        self._new: dict[str, str] = {}
        self.first_membership = PENDING if manual else APPROVED

    async def authorize(self, node_id: str, secret: str, token: str) -> bool:
        """Tell whether a node may do all that a member does, or only register and wait. Raises Unauthorized."""
        if self._token and not hmac.compare_digest(self._token.encode(), token.encode()):
            raise Unauthorized(
                "wrong or missing token", hint="set Compute.Auth.Token to the orchestrator's Orchestrator.Auth.Token"
            )
        stored = await self._store.node_secret(node_id) or self._new.get(node_id, "")
        mine = hashlib.sha256(secret.encode()).hexdigest() if secret else ""
        if stored and not hmac.compare_digest(stored, mine):
            raise Unauthorized(
                f"node id {node_id} belongs to another node", hint="give this node a data directory of its own"
            )
        known = await self._store.find_node(node_id)
        membership = known.membership if known else self.first_membership
        if membership == REJECTED:
            raise Unauthorized(f"node {node_id} was rejected", hint=f"let it in with `bacalhau node approve {node_id}`")
        if secret and not stored:
            self._new[node_id] = mine
        return membership == APPROVED

    def new_secret(self, node_id: str) -> str:
        """The hash to store with a node that registers; "" when it is stored already. `forget` it when it is stored."""
        return self._new.get(node_id, "")

    def forget(self, node_id: str) -> None:
        """Forget the secret of a node that is stored or deleted: only the store counts then."""
        self._new.pop(node_id, None)
