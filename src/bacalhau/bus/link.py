"""One NATS connection that is made and remade for ever, and the one place where NATS errors become ours.

The library's own reconnecting is off: a fresh client each time has no half-known state. Subscriptions are wishes kept
here and are made again on every connection before anyone may use it. Who waits for what answer is left to `answers`.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bacalhau.bus.shortcut import Receive, Shortcut
from bacalhau.lib.aio import Signal, background
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.lib.units import show_bytes

logger = logging.getLogger(__name__)

FIRST_WAIT, LAST_WAIT = 0.05, 2.0  # seconds between attempts
GROWTH = 1.3
NODE_WAIT = 0.4  # a node's first: after a restart of the server the orchestrator must be there first, to let nodes in
CONNECT_LIMIT = 5.0
CLOSE_LIMIT = 1.0
LOOK_SECONDS = 0.5  # between two looks whether the connection ended unnoticed
PING_SECONDS = 5  # two missed pings end a connection, so a dead peer is seen within 15 s
AT_ONCE = 32  # messages taken in by one step of the event loop: about 2 ms with all that follows at once
HEADER_ROOM = 2048  # NATS counts headers as payload
STATUS_LINE = b"NATS/1.0 "  # with a status after it; headers alone begin on the next line
# A connection that broke while this process was stopped fails in ways of its own, under uvloop with a RuntimeError.
BROKEN = (nats.errors.Error, OSError, TimeoutError, RuntimeError)


class Login(NamedTuple):
    """The credentials that a connection shows: `name` is the node id.

    `url` may be several with commas between; `tls://` insists on TLS. Without `user` only `token` is sent, without both
    nothing. `if_refused` are the likely causes and the cure, for the time when the server lets this login not in: it
    never says why.
    """

    url: str
    name: str
    user: str = ""
    password: str = ""
    token: str = ""
    tls: ssl.SSLContext | None = None
    first_wait: float = FIRST_WAIT
    if_refused: str = ""


class _Lean(Client):
    """The library's client, which reads of a message's headers no more than the status that the server puts before
    them: all else stands in the envelope too, and taking headers apart costs more than handling the message.

    What arrives at once is taken in a few messages in each step of the event loop; the library alone would take in all
    that waits at the socket before anybody else has a turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        return await super()._process_headers(headers) if headers and headers.startswith(STATUS_LINE) else None

    async def _flusher(self) -> None:
        """Send what waits, as the library does. It writes once more to a connection that it has just found to be lost;
        that error has no reader, so it would stand in the log without a reason.
        """
        with suppress(ConnectionError):
            await super()._flusher()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        await super()._process_msg(sid, subject, reply, data, headers)
        self._taken += 1
        if self._taken % AT_ONCE == 0:
            await asyncio.sleep(0)


class _Cautious(_Lean):
    """Says nothing to a server that offers no TLS: its first word would hold the node's secret."""

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise nats.errors.Error("nats: the server does not use TLS, but Compute.TLS.RequireTLS asks for it")
        return super()._connect_command()


class LinkLost(Unavailable):
    """The connection went away while something was under way; the same may be tried again on the next one."""


class Link:
    """Use through `linked`. `number` counts connections; `changed` fires when one comes or goes."""

    def __init__(self, login: Login, shortcut: Shortcut | None = None) -> None:
        self._login = login
        self._shortcut = shortcut or Shortcut()
        self._client: Client | None = None
        self._receivers: dict[str, Receive] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._ended = asyncio.Event()
        self._trouble = f"not connected to {login.url} yet"
        self.number = 0
        self.changed = Signal()
        self.on_lost: list[Callable[[], None]] = []

    @property
    def is_up(self) -> bool:
        return self._client is not None

    @property
    def trouble(self) -> str:
        """The reason why there is no connection; "" while there is one."""
        return "" if self.is_up else self._trouble

    async def connected(self, seconds: float) -> None:
        """Wait for a connection. Raises Unavailable with the reason of the last failure."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._client is None:
            if not await self.changed.wait(end - loop.time()):
                raise Unavailable(self._trouble, hint="Check the orchestrator's address, that it runs, and the token.")

    async def publish(self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Hand a message to the connection. Raises LinkLost without one, BadRequest when the message is too large.

        Without a subject nobody has asked to hear it; the server would end the connection that sent it.
        """
        if not subject:
            return
        client = self._client
        if client is None:
            raise LinkLost(self._trouble)
        if len(data) + HEADER_ROOM > client.max_payload:
            raise BadRequest(
                f"it is too large: {show_bytes(len(data))}, and the message server takes at most"
                f" {show_bytes(client.max_payload - HEADER_ROOM)}"
            )
        if receive := self._shortcut.find(self, subject):
            message = Msg(client, subject=subject, reply=reply, data=data, headers=headers)
            asyncio.get_running_loop().call_soon(receive, message)
            return
        try:
            await client.publish(subject, data, reply, headers)
        except BROKEN as e:
            # The library may know of the end before it says so; nobody may take this client for a connection meanwhile.
            self._client = None
            self._ended.set()
            raise _lost(self._login.url, e) from e

    async def flush(self) -> None:
        """Wait until the server has taken everything published so far. Raises LinkLost."""
        client = self._client
        if client is None:
            raise LinkLost(self._trouble)
        try:
            await _settle(client)
        except BROKEN as e:
            raise _lost(self._login.url, e) from e

    @asynccontextmanager
    async def subscribed(self, receivers: Mapping[str, Receive]) -> AsyncIterator[None]:
        """Receive from subjects, on this and every later connection, while the block runs. Receivers return at once."""
        self._receivers.update(receivers)
        self._shortcut.add(self, receivers)
        try:
            if self._client is not None:
                # When this connection breaks meanwhile, the next one brings these subscriptions too.
                with suppress(LinkLost):
                    await self._subscribe(self._client, list(receivers))
            yield
        finally:
            self._shortcut.remove(receivers)
            for subject in receivers:
                del self._receivers[subject]
            with suppress(LinkLost):
                await self._unsubscribe(list(receivers))

    async def keep_forever(self) -> None:
        wait = self._login.first_wait
        while True:
            before = self.number
            await self._one_connection()
            if _is_leaving():
                return
            wait = self._login.first_wait if self.number != before else min(wait * GROWTH, LAST_WAIT)
            # Scattered, so that the nodes of a cluster do not all come at once.
            await asyncio.sleep(wait * random.uniform(0.75, 1.25))

    async def _one_connection(self) -> None:
        """Connect, stay until the connection ends, and remember why it did."""
        client = _Cautious() if self._login.url.startswith("tls://") else _Lean()
        self._ended = asyncio.Event()
        try:
            await self._connect(client, self._ended)
            while missing := [subject for subject in self._receivers if subject not in self._subscriptions]:
                await self._subscribe(client, missing)
            self._client = client
            self.number += 1
            self.changed.fire()
            await _until_ended(client, self._ended)
            if not _is_leaving():
                raise LinkLost(f"lost the connection to {self._login.url}")
        except Unavailable as e:
            if e.message != self._trouble:
                logger.warning("%s", e.message)
            self._trouble = e.message
        finally:
            self._client = None
            self._subscriptions.clear()
            for listener in self.on_lost:
                listener()
            self.changed.fire()
            # A TLS connection that failed may never say goodbye.
            with suppress(*BROKEN):
                async with asyncio.timeout(CLOSE_LIMIT):
                    await client.close()

    async def _connect(self, client: Client, ended: asyncio.Event) -> None:
        reasons: list[Exception] = []

        async def on_closed() -> None:
            ended.set()

        async def on_error(error: Exception) -> None:
            # Why there is no connection is told once, by who asked for it.
            logger.log(logging.INFO if self.is_up else logging.DEBUG, "nats: %s", str(error) or type(error).__name__)
            reasons.append(error)
            del reasons[:-2]

        login = self._login
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await client.connect(
                    login.url.split(","),
                    name=login.name,
                    user=login.user or None,
                    password=login.password if login.user else None,
                    token=login.token or None,
                    tls=login.tls,
                    error_cb=on_error,
                    closed_cb=on_closed,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(CONNECT_LIMIT),
                    ping_interval=PING_SECONDS,
                    pending_size=0,
                    skip_subject_validation=True,
                )
        except (nats.errors.Error, OSError, TimeoutError) as e:
            raise Unavailable(_why_not(login, [str(reason) for reason in (e, *reasons)], known=self.number > 0)) from e

    async def _subscribe(self, client: Client, subjects: list[str]) -> None:
        try:
            for subject in subjects:
                self._subscriptions[subject] = await client.subscribe(
                    subject, cb=_as_callback(self._receivers[subject])
                )
            await _settle(client)
        except BROKEN as e:
            self._ended.set()
            raise _lost(self._login.url, e) from e

    async def _unsubscribe(self, subjects: list[str]) -> None:
        """Back when the server knows: from then on senders hear that nobody listens."""
        for subject in subjects:
            subscription = self._subscriptions.pop(subject, None)
            if subscription is not None:
                with suppress(*BROKEN):
                    await subscription.unsubscribe()
        await self.flush()


def _why_not(login: Login, reasons: list[str], *, known: bool) -> str:
    """Tell why there is no connection, from the words of the library and its callbacks, the last first.

    A refused connection is often reset before it is read.
    """
    if any("authorization violation" in reason.lower() for reason in reasons) and login.if_refused:
        return (
            f"{login.url} refuses node {login.name}{', which it had let in before' if known else ''}:"
            f" {login.if_refused}"
        )
    return f"cannot connect to {login.url}: {reasons[-1].removeprefix('nats: ') or 'no answer'}"


def _lost(url: str, error: Exception) -> LinkLost:
    """Word the end of a connection. The library's full outbound buffer means only that there is no connection."""
    detail = "" if isinstance(error, nats.errors.OutboundBufferLimitError) else str(error)
    return LinkLost(f"lost the connection to {url}{': ' if detail else ''}{detail}")


def _is_leaving() -> bool:
    """The library keeps a cancellation to itself when it comes while it connects, flushes or closes."""
    me = asyncio.current_task()
    return me is not None and me.cancelling() > 0


async def _until_ended(client: Client, ended: asyncio.Event) -> None:
    """The library does not call back when its closing fails, as it does on a connection that broke while this process
    was stopped.
    """
    while not (ended.is_set() or client.is_closed or _is_leaving()):
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await ended.wait()


async def _settle(client: Client) -> None:
    """Back when the server has everything: the library's ping overtakes what is still in its buffer, so ping again
    after it.
    """
    await client.flush()
    await client.flush()


def _as_callback(receive: Receive) -> Callable[[Msg], Coroutine[Any, Any, None]]:
    async def receive_one(msg: Msg) -> None:
        receive(msg)

    return receive_one


@asynccontextmanager
async def linked(login: Login, shortcut: Shortcut | None = None) -> AsyncIterator[Link]:
    """Keep a link while the block runs; `connected` waits for its first connection.

    Links that share a `shortcut` reach each other without the server.
    """
    link = Link(login, shortcut)
    async with background(link.keep_forever()):
        yield link
