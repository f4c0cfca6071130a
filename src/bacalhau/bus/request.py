"""Requests from one end to the other: answering them, and how an error crosses the wire and comes out the same."""

import asyncio
import logging
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

from nats.aio.msg import Msg

from bacalhau.bus.answer import say
from bacalhau.bus.envelope import ERROR_CODE, MESSAGE_ID, STATUS_CODE, Envelope, pack, stamp, unpack
from bacalhau.bus.link import Link, LinkLost
from bacalhau.bus.ordering import NodeQueues
from bacalhau.bus.subject import sender
from bacalhau.lib.aio import Crew
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, BadRequest, TimedOut, Unavailable
from bacalhau.lib.wire import Model, encode
from bacalhau.models.wire.messages import MESSAGE_NAMES, BacError
from bacalhau.ports.bus import Delivery, RequestHandler

logger = logging.getLogger(__name__)

CONTROL_SOURCE = "orchestrator-control"
REQUEST_LIMIT = 30.0  # seconds a handler may take; a node waits 10
LONGEST_ID = 128  # characters of the name that a request may have, which its answer repeats
LEGACY_REFUSAL = b'{"value":{"Accepted":false,"Reason":"node supports NCLv1 protocol - legacy protocol disabled"}}'


class _Item(NamedTuple):
    envelope: Envelope
    msg: Msg


class Responder:
    """Answers requests; `sender` names who sent on a subject; those on `out.ctrl` of one node one after the other, all
    others side by side.
    """

    def __init__(
        self, link: Link, crew: Crew, on_request: RequestHandler, sender: Callable[[str], str] = sender
    ) -> None:
        self._sender = sender
        self._link = link
        self._crew = crew
        self._on_request = on_request
        self._queues: NodeQueues[_Item] = NodeQueues(crew, self._answer)

    def receive(self, msg: Msg) -> None:
        try:
            envelope = unpack(msg.data)
        except BadRequest as e:
            self._crew.start(self._reply(msg, to_bac_error(e), {}))
            return
        key = "ctrl" if msg.subject.endswith(".ctrl") else msg.reply
        if not self._queues.put(self._sender(msg.subject), key, _Item(envelope, msg)):
            logger.warning("too many requests of node %s are waiting", self._sender(msg.subject))

    def refuse_legacy(self, msg: Msg) -> None:
        """Nodes that speak both protocols try the old one first."""
        self._crew.start(say(self._link, msg.reply, LEGACY_REFUSAL))

    async def _answer(self, item: _Item) -> None:
        envelope, msg = item
        reply: Model
        try:
            delivery = Delivery(self._sender(msg.subject), envelope.type, envelope.message(), envelope.seq)
        except BacalhauError as e:
            reply = to_bac_error(e)
        else:
            # Never cut short: what it has begun to write must be noted by it.
            work = self._crew.start(self._worked(delivery))
            await asyncio.wait((work,), timeout=REQUEST_LIMIT)
            late = TimedOut(f"{envelope.type} was not answered within {REQUEST_LIMIT:.0f} s", retryable=True)
            reply = work.result() if work.done() else to_bac_error(late)
        await self._reply(msg, reply, envelope.metadata)

    async def _worked(self, delivery: Delivery) -> Model:
        try:
            return await self._on_request(delivery)
        except BacalhauError as e:
            return to_bac_error(e)
        except Exception as e:
            logger.exception("answering %s of node %s failed", delivery.type, delivery.node_id)
            return to_bac_error(BacalhauError(f"internal error: {type(e).__name__}: {e}", retryable=True))

    async def _reply(self, msg: Msg, reply: Model, asked: dict[str, str]) -> None:
        metadata = stamp(MESSAGE_NAMES[type(reply)], CONTROL_SOURCE, now_ns())
        if _is_plain(known := asked.get(MESSAGE_ID, "")):
            metadata[MESSAGE_ID] = known
        if isinstance(reply, BacError):
            metadata |= {STATUS_CODE: str(reply.http_status_code), ERROR_CODE: reply.code}
        try:
            await self._link.publish(msg.reply, pack(encode(reply), metadata), headers=metadata)
        except LinkLost as e:
            logger.debug("answer to %s not sent: %s", msg.subject, e)
        except BadRequest as e:
            await self._reply(msg, to_bac_error(e), asked)


def _is_plain(text: str) -> bool:
    """Tell whether a text of the other side can go back to it in a header."""
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()


def to_bac_error(error: BacalhauError) -> BacError:
    return BacError(
        cause=error.message,
        hint=error.hint,
        retryable=error.retryable,
        component=error.component,
        http_status_code=error.status,
        code=error.code,
    )


def from_bac_error(error: BacError) -> BacalhauError:
    """The error of our tree with the same code; a code we do not know keeps its name and status."""
    kind = _kinds().get(error.code) or _strange(error.code, error.http_status_code or BacalhauError.status)
    return kind(
        error.cause or error.code,
        hint=error.hint,
        retryable=error.retryable,
        component=error.component or "Orchestrator",
    )


def read_reply(data: bytes) -> Model:
    """The answer to a request; a BacError is raised. Raises Unavailable for what cannot be read."""
    try:
        message = unpack(data).message()
    except BadRequest as e:
        raise Unavailable(f"the orchestrator's answer cannot be read: {e.message}") from e
    if isinstance(message, BacError):
        raise from_bac_error(message)
    return message


@cache
def _kinds() -> dict[str, type[BacalhauError]]:
    ours: list[type[BacalhauError]] = [BacalhauError, *BacalhauError.__subclasses__()]
    return {kind.code: kind for kind in ours if kind.__module__ == BacalhauError.__module__}


@lru_cache(256)
def _strange(code: str, status: int) -> type[BacalhauError]:
    """Callers tell errors by `code`, such as the HandshakeRequired of 428."""
    return type("ForeignError", (BacalhauError,), {"code": code, "status": status})
