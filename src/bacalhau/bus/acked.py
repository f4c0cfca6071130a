"""Receiving messages that are acknowledged once their handler returned, and setting aside those nobody can handle.

A message that cannot be read, or whose handler keeps breaking, must not hold up the ones behind it: it goes to
`set_aside`, and its sender is told that it is rejected for good. An expected failure is refused with a delay, and so
comes again.
"""

import logging
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from nats.aio.msg import Msg

from bacalhau.bus.answer import ACK, refusal, rejection, say
from bacalhau.bus.envelope import unpack
from bacalhau.bus.link import Link
from bacalhau.bus.ordering import NodeQueues
from bacalhau.lib.aio import Crew
from bacalhau.lib.errors import BacalhauError, BadRequest
from bacalhau.lib.wire import Model, encode
from bacalhau.models.wire.messages import AskForBid
from bacalhau.ports.bus import Delivery, Handler

logger = logging.getLogger(__name__)

CRASHES = 5  # unexpected failures of one message before it is set aside
FIRST_DELAY, LAST_DELAY = 0.1, 5.0  # seconds until a refused message comes again
REMEMBERED = 10_000  # messages whose failures are counted

SetAside = Callable[[str, str, bytes], Awaitable[None]]
"""(source node, reason, bytes of the message): keeps what nobody can handle."""


async def forget(source: str, reason: str, data: bytes) -> None:
    """The SetAside of those who keep nothing; the log line stays."""


class _Item(NamedTuple):
    delivery: Delivery
    msg: Msg

    @property
    def name(self) -> str:
        """The name by which a message that comes again is recognized; a node may start counting anew."""
        return (
            f"{self.delivery.node_id} {self.delivery.type} {self.delivery.seq}"
            f" {zlib.crc32(encode(self.delivery.message))}"
        )


class AckedInbox:
    """`node_of` tells from the subject which node a message concerns."""

    def __init__(
        self, link: Link, crew: Crew, on_message: Handler, set_aside: SetAside, node_of: Callable[[str], str]
    ) -> None:
        self._link = link
        self._crew = crew
        self._on_message = on_message
        self._set_aside = set_aside
        self._node_of = node_of
        self._queues: NodeQueues[_Item] = NodeQueues(crew, self._handle)
        self._failures: OrderedDict[str, int] = OrderedDict()

    def receive(self, msg: Msg) -> None:
        node_id = self._node_of(msg.subject)
        try:
            envelope = unpack(msg.data)
            message = envelope.message()
        except BadRequest as e:
            self._crew.start(self._give_up(node_id, e.message, msg))
            return
        delivery = Delivery(node_id, envelope.type, message, envelope.seq)
        if not self._queues.put(node_id, execution_of(message), _Item(delivery, msg)):
            logger.warning("too many messages of node %s are waiting; it has to send again", node_id)

    async def _handle(self, item: _Item) -> None:
        try:
            await self._on_message(item.delivery)
        except BacalhauError as e:
            logger.info("%s of node %s refused for now: %s", item.delivery.type, item.delivery.node_id, e)
            await self._refuse(item, e.message)
        except Exception as e:
            logger.exception("handling %s of node %s failed", item.delivery.type, item.delivery.node_id)
            if self._failures.get(item.name, 0) + 1 >= CRASHES:
                await self._give_up(item.delivery.node_id, f"{type(e).__name__}: {e}", item.msg)
            else:
                await self._refuse(item, f"internal error: {type(e).__name__}: {e}")
        else:
            if self._failures:
                self._failures.pop(item.name, None)
            await say(self._link, item.msg.reply, ACK)

    async def _refuse(self, item: _Item, error: str) -> None:
        count = self._failures[item.name] = self._failures.pop(item.name, 0) + 1
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)
        await say(self._link, item.msg.reply, refusal(error, min(FIRST_DELAY * 2 ** (count - 1), LAST_DELAY)))

    async def _give_up(self, node_id: str, reason: str, msg: Msg) -> None:
        logger.error("a message of %d bytes from node %s is set aside: %s", len(msg.data), node_id, reason)
        try:
            await self._set_aside(node_id, reason, msg.data)
        except Exception:
            logger.exception("could not set a message aside")
            await say(self._link, msg.reply, refusal(reason, LAST_DELAY))
        else:
            await say(self._link, msg.reply, rejection(reason))


def execution_of(message: Model) -> str:
    """Messages about one execution keep their order."""
    if isinstance(message, AskForBid):
        return message.execution.id
    return str(getattr(message, "execution_id", ""))
