"""The orchestrator's end on NATS: assembly of the pieces beside this file into `ports.bus.OrchestratorBus`."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from nats.aio.msg import Msg

from bacalhau.bus.acked import AckedInbox, SetAside, forget
from bacalhau.bus.answer import Answers, Frame
from bacalhau.bus.callout import Authorize, Callout, Issuer
from bacalhau.bus.envelope import pack, stamp, unpack
from bacalhau.bus.link import Link, Login, linked
from bacalhau.bus.log_consumer import LogConsumer
from bacalhau.bus.log_stream import LogQuery
from bacalhau.bus.presence import Presence
from bacalhau.bus.request import Responder, read_reply
from bacalhau.bus.server import SYSTEM, Access
from bacalhau.bus.shortcut import Receive, Shortcut
from bacalhau.bus.subject import (
    REGISTER,
    REQUESTS,
    answers_from,
    check_node_id,
    from_node,
    is_inbox_of,
    messages_to,
    sender,
    to_node,
)
from bacalhau.lib.aio import Crew, background, crew
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model, encode
from bacalhau.models.wire.messages import MESSAGE_NAMES
from bacalhau.ports.bus import Delivery, Handler, RequestHandler

logger = logging.getLogger(__name__)

ACK_WAIT = 30.0  # seconds
CONNECT_WAIT = 15.0
NAME = "bacalhau-orchestrator"

OnProgress = Callable[[Delivery], None]
"""Takes a `Progress` of a node; called from the event loop, must return at once."""


def no_progress(delivery: Delivery) -> None:
    """The OnProgress of those who do not care."""


class OrchestratorNats:
    """`ports.bus.OrchestratorBus`.

    `set_aside`, `on_progress` and `ack_wait` may be set before `serve`; `presence` where the server is ours.
    """

    def __init__(self, link: Link, crew: Crew) -> None:
        self.set_aside: SetAside = forget
        self.ack_wait = ACK_WAIT
        self.on_progress: OnProgress = no_progress
        self._on_gone: Callable[[str], None] = lambda node_id: None
        self.presence: Presence | None = None
        self.callout: Callout | None = None
        self._link = link
        self._token = secrets.token_hex(11)
        self._answers = Answers(link, answers_from("*", self._token))
        self._logs = LogConsumer(link, crew)
        self.receivers = self._answers.receivers | _at_home(self._logs.receivers)

    @property
    def trouble(self) -> str:
        return self._link.trouble

    async def send(self, node_id: str, type: str, body: bytes, seq: int) -> None:
        subject = messages_to(check_node_id(node_id))
        metadata = stamp(type, f"orchestrator-{node_id}", now_ns(), seq=seq, subject=subject)
        frame = Frame(subject, pack(body, metadata), metadata)
        try:
            await self._answers.deliver(frame, answers_from(node_id, self._token), self.ack_wait)
        except BadRequest as e:
            raise BadRequest(f"the message to node {node_id} cannot be delivered: {e.message}") from e

    @asynccontextmanager
    async def serve(
        self, on_message: Handler, on_request: RequestHandler, on_gone: Callable[[str], None]
    ) -> AsyncIterator[None]:
        self._on_gone = on_gone
        async with AsyncExitStack() as stack:
            working = await stack.enter_async_context(crew())
            inbox = AckedInbox(self._link, working, on_message, self.set_aside, sender)
            responder = Responder(self._link, working, on_request)
            await stack.enter_async_context(
                self._link.subscribed(
                    _at_home(
                        {from_node("*", "msgs"): inbox.receive, from_node("*", "progress"): self._receive_progress}
                    )
                )
            )
            await stack.enter_async_context(
                self._link.subscribed(
                    _at_home(
                        {
                            from_node("*", "ctrl"): responder.receive,
                            from_node("*", "requests"): responder.receive,
                            REGISTER: responder.refuse_legacy,
                        }
                    )
                )
            )
            yield

    async def ask(self, node_id: str, message: Model, seconds: float = 10) -> Model:
        metadata = stamp(MESSAGE_NAMES[type(message)], f"orchestrator-{node_id}", now_ns())
        frame = Frame(to_node(check_node_id(node_id), REQUESTS), pack(encode(message), metadata), metadata)
        return read_reply((await self._answers.ask(frame, answers_from(node_id, self._token), seconds)).data)

    def stream_logs(
        self, node_id: str, execution_id: str, *, tail: bool, follow: bool
    ) -> AsyncIterator[tuple[int, str]]:
        query = LogQuery(execution_id=execution_id, node_id=check_node_id(node_id), tail=tail, follow=follow)
        return self._logs.stream(node_id, query)

    async def disconnect(self, node_id: str) -> None:
        if self.presence is not None:
            await self.presence.disconnect(node_id)

    def node_gone(self, node_id: str) -> None:
        """The node's last connection closed."""
        logger.info("node %s disconnected", node_id)
        if self.callout is not None:
            self.callout.node_gone(node_id)
        self._answers.node_gone(answers_from(node_id, self._token))
        self._logs.node_gone(node_id)
        self._on_gone(node_id)

    def _receive_progress(self, msg: Msg) -> None:
        try:
            envelope = unpack(msg.data)
            self.on_progress(Delivery(sender(msg.subject), envelope.type, envelope.message()))
        except BadRequest as e:
            logger.info("a progress message of node %s is dropped: %s", sender(msg.subject), e)


def _at_home(receivers: Mapping[str, Receive]) -> dict[str, Receive]:
    """Let only those messages through whose answer goes to their own node. The orchestrator may publish anywhere, so an
    answer at a subject of another node, an acknowledgement for example, would be believed there.
    """
    return {subject: _Home(subject.split(".").index("*"), receive).receive for subject, receive in receivers.items()}


class _Home(NamedTuple):
    """A receiver of subjects that hold the id of their node as the token at `place`."""

    place: int
    take: Receive

    def receive(self, msg: Msg) -> None:
        node_id = msg.subject.split(".", self.place + 1)[self.place]
        if is_inbox_of(node_id, msg.reply):
            self.take(msg)
        else:
            logger.warning("a message of node %s is dropped: it asks for an answer at %.100r", node_id, msg.reply)


@asynccontextmanager
async def orchestrator_bus(
    url: str,
    access: Access,
    authorize: Authorize | None = None,
    *,
    shortcut: Shortcut | None = None,
) -> AsyncIterator[OrchestratorNats]:
    """The orchestrator's end while the block runs. Raises Unavailable when the server cannot be reached.

    `authorize` decides which nodes may connect to the server that `access` belongs to; no node gets in before this
    runs. `shortcut` is shared with the nodes in this process.
    """
    async with AsyncExitStack() as stack:
        login = Login(url, NAME, access.user, access.password, tls=access.tls)
        link = await stack.enter_async_context(linked(login, shortcut))
        working = await stack.enter_async_context(crew())
        bus = OrchestratorNats(link, working)
        if access.system_password:
            system = Login(url, NAME, SYSTEM, access.system_password, tls=access.tls)
            bus.presence = await stack.enter_async_context(_watched(system, bus.node_gone))
        receivers = dict(bus.receivers)
        if authorize is not None and bus.presence is not None and access.issuer_seed:
            bus.callout = Callout(link, working, Issuer(access.issuer_seed), authorize, bus.presence.is_connected)
            receivers |= bus.callout.receivers
        await stack.enter_async_context(link.subscribed(receivers))
        await link.connected(CONNECT_WAIT)
        yield bus


@asynccontextmanager
async def _watched(login: Login, on_gone: Callable[[str], None]) -> AsyncIterator[Presence]:
    """See nodes come and go; open before the first may connect."""
    async with linked(login) as link:
        presence = Presence(link, on_gone)
        async with link.subscribed(presence.receivers), background(presence.watch_forever()):
            await link.connected(CONNECT_WAIT)
            yield presence
