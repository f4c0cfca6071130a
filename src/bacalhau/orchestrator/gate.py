"""Which nodes may connect, and under which id: the first secret a node id presents is its own for ever."""

import hashlib
import hmac

from bacalhau.lib.errors import Unauthorized
from bacalhau.ports.store import NodeStore


class Gate:
    """`token` "" lets any node in that does not take another's id."""

    def __init__(self, store: NodeStore, token: str) -> None:
        self._store = store
        self._token = token
        self._new: dict[str, str] = {}

    async def authorize(self, node_id: str, secret: str, token: str) -> None:
        """Raises Unauthorized."""
        if self._token and not hmac.compare_digest(self._token.encode(), token.encode()):
            raise Unauthorized("wrong or missing token", hint="set Compute.Auth.Token to the orchestrator's Orchestrator.Auth.Token")
        stored = await self._store.node_secret(node_id) or self._new.get(node_id, "")
        mine = hashlib.sha256(secret.encode()).hexdigest() if secret else ""
        if stored and not hmac.compare_digest(stored, mine):
            raise Unauthorized(f"node id {node_id} belongs to another node", hint="give this node a data directory of its own")
        if secret and not stored:
            self._new[node_id] = mine

    def new_secret(self, node_id: str) -> str:
        """The hash to store with a node that registers; "" when it is stored already."""
        return self._new.pop(node_id, "")
