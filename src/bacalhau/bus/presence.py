"""Who is connected, as the server's own events tell it, so that a node's end is known at once and not by silence.

Only connections that were let in count: a stranger that is refused under a node's name says nothing about the node.
"""

from collections.abc import Callable

import msgspec
from nats.aio.msg import Msg

from bacalhau.bus.link import Link

CONNECT, DISCONNECT = "$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT"


class _Client(msgspec.Struct):
    id: int
    name: str = ""


class _Event(msgspec.Struct):
    client: _Client


_events = msgspec.json.Decoder(_Event)


class Presence:
    """`on_gone(node_id)` is called when a node's last connection closed. Needs a link of the system account."""

    def __init__(self, link: Link, on_gone: Callable[[str], None]) -> None:
        self.receivers = {CONNECT: self._connected, DISCONNECT: self._disconnected}
        self._on_gone = on_gone
        self._connections: dict[str, set[int]] = {}
        # A new server counts from one again; who does not come back is found out by its silence.
        link.on_lost.append(self._connections.clear)

    def _connected(self, msg: Msg) -> None:
        client = _events.decode(msg.data).client
        self._connections.setdefault(client.name, set()).add(client.id)

    def _disconnected(self, msg: Msg) -> None:
        client = _events.decode(msg.data).client
        known = self._connections.get(client.name, set())
        if client.id not in known:
            return
        known.discard(client.id)
        if not known:
            del self._connections[client.name]
            self._on_gone(client.name)
