"""The nodes that are connected, as the server's own events tell, so that a node's end is known at once.

Only connections that were let in count: a stranger that is refused under a node's name says nothing about the node.
What happened while nobody listened is found out by asking the server for its connections.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable

import msgspec
from nats.aio.msg import Msg

from bacalhau.bus.answer import Answers, Frame
from bacalhau.bus.link import Link
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.wire import decode

logger = logging.getLogger(__name__)

CONNECT, DISCONNECT = "$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT"
LIST = "$SYS.REQ.SERVER.PING.CONNZ"
ASK_SECONDS = 5.0
PAGE = 65_536  # connections in one answer; more than one server holds


class _Client(msgspec.Struct):
    id: int
    name: str = ""


class _Server(msgspec.Struct):
    id: str


class _Event(msgspec.Struct):
    server: _Server
    client: _Client


class _Connection(msgspec.Struct):
    cid: int
    name: str = ""


class _Connections(msgspec.Struct):
    connections: list[_Connection] = []


class _Listed(msgspec.Struct):
    server: _Server
    data: _Connections


class Presence:
    """`on_gone(node_id)` is called when a node's last connection closed. Needs a link of the system account."""

    def __init__(self, link: Link, on_gone: Callable[[str], None]) -> None:
        self._answers = Answers(link, f"_PRESENCE.{secrets.token_hex(11)}")
        self._inbox = next(iter(self._answers.receivers)).removesuffix(".*")
        self.receivers = {CONNECT: self._connected, DISCONNECT: self._disconnected} | self._answers.receivers
        self._link = link
        self._on_gone = on_gone
        self._server = ""
        self._connections: dict[str, set[int]] = {}
        self._looking = False
        self._came: dict[int, str] = {}
        self._ended: set[int] = set()

    async def watch_forever(self) -> None:
        """After each connection of the link: compare what is known with what is there."""
        seen = 0
        while True:
            if not self._link.is_up or self._link.number == seen:
                await self._link.changed.wait(60)
                continue
            number = self._link.number
            try:
                await self._look()
                seen = number
            except BacalhauError as e:
                logger.warning("the message server does not say who is connected, asking again: %s", e)
                await asyncio.sleep(1)

    def is_connected(self, node_id: str) -> bool:
        return node_id in self._connections

    async def disconnect(self, node_id: str) -> None:
        """Close every connection of a node."""
        for number in tuple(self._connections.get(node_id, ())):
            frame = Frame(f"$SYS.REQ.SERVER.{self._server}.KICK", msgspec.json.encode({"cid": number}))
            try:
                await self._answers.ask(frame, self._inbox, ASK_SECONDS)
            except BacalhauError as e:
                logger.warning("connection %d of node %s was not closed: %s", number, node_id, e)

    async def _look(self) -> None:
        self._looking = True
        try:
            await self._compare()
        finally:
            self._looking = False
            self._came.clear()
            self._ended.clear()

    async def _compare(self) -> None:
        frame = Frame(LIST, msgspec.json.encode({"limit": PAGE}))
        try:
            listed = decode((await self._answers.ask(frame, self._inbox, ASK_SECONDS)).data, _Listed)
        except msgspec.DecodeError as e:
            raise Unavailable(f"the message server's list of connections cannot be read: {e}") from e
        before, self._connections, self._server = self._connections, {}, listed.server.id
        # What began or ended meanwhile may have overtaken this list.
        for number, name in ({found.cid: found.name for found in listed.data.connections} | self._came).items():
            if number not in self._ended:
                self._connections.setdefault(name, set()).add(number)
        for node_id in before.keys() - self._connections.keys():
            self._on_gone(node_id)

    def _connected(self, msg: Msg) -> None:
        event = decode(msg.data, _Event)
        self._server = event.server.id
        self._connections.setdefault(event.client.name, set()).add(event.client.id)
        if self._looking:
            self._came[event.client.id] = event.client.name

    def _disconnected(self, msg: Msg) -> None:
        client = decode(msg.data, _Event).client
        if self._looking:
            self._ended.add(client.id)
        known = self._connections.get(client.name, set())
        if client.id not in known:
            return
        known.discard(client.id)
        if not known:
            del self._connections[client.name]
            self._on_gone(client.name)
