"""Publish and wait for the answer, many at once, over one inbox; and the little words of acknowledgement.

Sending again after a refusal or a lost connection is `deliver`'s; whether a message is worth that is the caller's.
"""

import asyncio
import itertools
import logging
from typing import NamedTuple

import msgspec
from nats.aio.msg import Msg

from bacalhau.bus.link import Link, LinkLost
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.lib.wire import decode

logger = logging.getLogger(__name__)

ACK = b"{}"
NO_RESPONDERS = "503"


class Frame(NamedTuple):
    """A message ready to go; `headers` mirror its metadata."""

    subject: str
    data: bytes
    headers: dict[str, str] | None = None


class _Word(msgspec.Struct):
    """An acknowledgement, or with `error` a refusal for `delay` ns, or with `rejected` one for good.

    Programs of other makes do not know `rejected`, and take it for an acknowledgement: they do not send again.
    """

    error: str = ""
    delay: int = 0
    rejected: str = ""


def refusal(error: str, delay: float) -> bytes:
    """A negative acknowledgement: send again after `delay` seconds."""
    return msgspec.json.encode({"error": error, "delay": int(delay * 1e9)})


def rejection(reason: str) -> bytes:
    """A final refusal: sending the message again would not help."""
    return msgspec.json.encode({"rejected": reason})


class Answers:
    """All answers one end waits for. Its own subscription is `receivers`, to be made before anything is asked."""

    def __init__(self, link: Link, wildcard: str) -> None:
        self.receivers = {f"{wildcard}.*": self._receive}
        self._link = link
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._numbers = itertools.count()
        link.on_lost.append(self._lose)

    async def ask(self, frame: Frame, inbox: str, seconds: float) -> Msg:
        """The first answer to a message.

        Raises LinkLost, or Unavailable when nobody listens or nobody answered in time.
        """
        reply = f"{inbox}.{next(self._numbers):x}"
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Msg] = loop.create_future()
        self._waiting[reply] = future
        timer = loop.call_later(seconds, _give_up, future, f"no answer on {frame.subject} within {seconds:.0f} s")
        try:
            await self._link.publish(frame.subject, frame.data, reply, frame.headers)
            msg = await future
        finally:
            timer.cancel()
            del self._waiting[reply]
        if not msg.data and msg.headers and msg.headers.get("Status") == NO_RESPONDERS:
            raise Unavailable(f"nobody listens on {frame.subject}")
        return msg

    async def deliver(self, frame: Frame, inbox: str, seconds: float) -> None:
        """Send a message until it is acknowledged, for at most `seconds`.

        Raises Unavailable, at once when nobody listens, and BadRequest for what is too large or rejected for good.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            try:
                word = decode((await self.ask(frame, inbox, end - loop.time())).data, _Word)
            except LinkLost:
                await self._link.connected(end - loop.time())
                continue
            except msgspec.DecodeError as e:
                raise Unavailable(f"the acknowledgement on {frame.subject} cannot be read") from e
            if word.rejected:
                raise BadRequest(word.rejected)
            if not word.error:
                return
            delay = word.delay / 1e9
            if loop.time() + delay >= end:
                raise Unavailable(word.error)
            await asyncio.sleep(delay)

    def node_gone(self, inbox: str) -> None:
        """Nobody will answer there any more: who waits gets Unavailable now."""
        for reply, future in self._waiting.items():
            if reply.startswith(f"{inbox}."):
                _give_up(future, "the node left before it answered")

    def _receive(self, msg: Msg) -> None:
        future = self._waiting.get(msg.subject)
        if future is not None and not future.done():
            future.set_result(msg)

    def _lose(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkLost("the connection was lost before the answer came"))


def _give_up(future: "asyncio.Future[Msg]", text: str) -> None:
    if not future.done():
        future.set_exception(Unavailable(text))


async def say(link: Link, subject: str, data: bytes) -> None:
    """Answer without caring whether the answer arrives: the other side asks again."""
    try:
        await link.publish(subject, data)
    except LinkLost as e:
        logger.debug("answer on %s not sent: %s", subject, e)
