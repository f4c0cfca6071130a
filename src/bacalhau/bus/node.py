"""A node's end on NATS: assembly of the pieces beside this file into `ports.bus.NodeBus`.

A node only dials out, to one address. It owns the subjects that hold its id and sees no others.
"""

import asyncio
import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from bacalhau.bus.acked import AckedInbox, SetAside, forget
from bacalhau.bus.answer import Answers, Frame
from bacalhau.bus.callout import show_password
from bacalhau.bus.envelope import pack, stamp
from bacalhau.bus.link import FIRST_WAIT, LAST_WAIT, NODE_WAIT, Link, LinkLost, Login, linked
from bacalhau.bus.log_producer import LogProducer
from bacalhau.bus.request import Responder, read_reply
from bacalhau.bus.shortcut import Shortcut
from bacalhau.bus.subject import LOG_CREDIT, LOGS, REQUESTS, answers_to, check_node_id, from_node, messages_to, to_node
from bacalhau.lib.aio import background, crew
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.lib.wire import Model, encode
from bacalhau.models.wire.messages import MESSAGE_NAMES
from bacalhau.ports.bus import Handler, LogSource, RequestHandler, refuse_request

logger = logging.getLogger(__name__)

ACK_WAIT = 30.0  # seconds


def _if_refused(node_id: str, token: str) -> str:
    """Causes in the order of their likelihood, each with its cure."""
    return (
        f"its token {'is wrong' if token else 'is missing'} (set Compute.Auth.Token to the orchestrator's"
        f" Orchestrator.Auth.Token), or it was rejected (`bacalhau node approve {node_id}`), or the id is another"
        " node's, or in use (give a copy a data directory of its own); the orchestrator's log says which"
    )


class NodeNats:
    """`ports.bus.NodeBus`. `set_aside` and `ack_wait` may be set before `serve`."""

    def __init__(self, link: Link, node_id: str, inbox: str) -> None:
        self.set_aside: SetAside = forget
        self.ack_wait = ACK_WAIT
        self._link = link
        self._node_id = node_id
        self._inbox = inbox
        self._answers = Answers(link, inbox)
        self.receivers = self._answers.receivers

    @property
    def trouble(self) -> str:
        return self._link.trouble

    async def connected(self, seconds: float) -> None:
        """Wait for a connection. Raises Unavailable with the reason there is none."""
        await self._link.connected(seconds)

    async def send(self, type: str, message: Model, seq: int) -> None:
        try:
            await self._answers.deliver(self._frame("msgs", type, message, seq), self._inbox, self.ack_wait)
        except BadRequest as e:
            raise BadRequest(f"the report to the orchestrator cannot be delivered: {e.message}") from e

    async def request(self, message: Model, *, control: bool = True, seconds: float = 10) -> Model:
        frame = self._frame("ctrl" if control else "requests", MESSAGE_NAMES[type(message)], message)
        return read_reply((await self._answers.ask(frame, self._inbox, seconds)).data)

    async def tell(self, message: Model) -> None:
        frame = self._frame("progress", MESSAGE_NAMES[type(message)], message)
        try:
            await self._link.publish(frame.subject, frame.data, headers=frame.headers)
        except LinkLost as e:
            logger.debug("progress not sent: %s", e)

    @asynccontextmanager
    async def serve(
        self,
        on_message: Handler,
        logs: LogSource,
        on_connected: Callable[[], Awaitable[None]],
        on_request: RequestHandler = refuse_request,
    ) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            working = await stack.enter_async_context(crew())
            inbox = AckedInbox(self._link, working, on_message, self.set_aside, lambda subject: self._node_id)
            producer = LogProducer(self._link, working, self._answers, self._inbox, logs)
            questions = Responder(self._link, working, on_request, lambda subject: self._node_id)
            asked = {
                to_node(self._node_id, REQUESTS): questions.receive,
                to_node(self._node_id, LOGS): producer.receive,
            }
            receivers = asked | {
                messages_to(self._node_id): inbox.receive,
                to_node(self._node_id, LOG_CREDIT): producer.receive,
            }
            await stack.enter_async_context(self._link.subscribed(receivers))
            await stack.enter_async_context(background(producer.watch_forever(), self._greet_forever(on_connected)))
            yield

    def _frame(self, lane: str, type_name: str, message: Model, seq: int = 0) -> Frame:
        metadata = stamp(type_name, self._node_id, now_ns(), seq=seq)
        return Frame(from_node(self._node_id, lane), pack(encode(message), metadata), metadata)

    async def _greet_forever(self, on_connected: Callable[[], Awaitable[None]]) -> None:
        """Call `on_connected` once a connection; when it fails, again until it does not."""
        greeted, wait = 0, FIRST_WAIT
        while True:
            if not self._link.is_up or self._link.number == greeted:
                await self._link.changed.wait(60)
                continue
            number = self._link.number
            try:
                await on_connected()
                greeted, wait = number, FIRST_WAIT
            except BacalhauError as e:
                logger.warning("joining the orchestrator failed, trying again: %s", e)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LAST_WAIT)


@asynccontextmanager
async def node_bus(
    url: str,
    node_id: str,
    secret: str,
    token: str = "",
    *,
    tls: ssl.SSLContext | None = None,
    shortcut: Shortcut | None = None,
) -> AsyncIterator[NodeNats]:
    """A node's end while the block runs; the connection comes when it can (`connected` waits for it).

    `secret` (no dots, no tildes) proves that later connections are this node's; with "" only the token is shown, as
    nodes of other makes do. `tls` None uses the system's certificates when the server asks for TLS. `shortcut` is
    that of an orchestrator in this process. Raises BadRequest for an impossible id.
    """
    if not {".", "~"}.isdisjoint(secret):
        raise BadRequest("a node's secret may not hold a dot or a tilde")
    life = secrets.token_hex(11)
    inbox = f"{answers_to(check_node_id(node_id), native=bool(secret))}.{life}"
    shown = Login(url, node_id, token=token, tls=tls, first_wait=NODE_WAIT, if_refused=_if_refused(node_id, token))
    if secret:
        shown = shown._replace(user=node_id, password=show_password(secret, life, token), token="")
    if shortcut is not None:
        shortcut.admit(node_id)
    async with linked(shown, shortcut) as link:
        bus = NodeNats(link, node_id, inbox)
        async with link.subscribed(bus.receivers):
            yield bus
