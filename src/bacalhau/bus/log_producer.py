"""A node's end of log streams: sends what it reads, no faster than credit allows, and no longer than somebody reads.

A consumer without a window is another make's: then every few frames wait for the server to take them.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import msgspec
from nats.aio.msg import Msg

from bacalhau.bus.answer import Answers, Frame, say
from bacalhau.bus.link import Link
from bacalhau.bus.log_stream import (
    HEARTBEAT_LIMIT,
    HEARTBEAT_SECONDS,
    WINDOW,
    Credit,
    Heartbeat,
    HeartbeatAnswer,
    LogQuery,
    Open,
    close_frame,
    data_frames,
)
from bacalhau.bus.subject import LOG_CREDIT, LOGS
from bacalhau.lib.aio import Crew, Signal
from bacalhau.lib.errors import BacalhauError, BadRequest, Unavailable
from bacalhau.lib.wire import decode
from bacalhau.ports.bus import LogSource

logger = logging.getLogger(__name__)


class _Stream:
    def __init__(self, asked: Open, msg: Msg) -> None:
        self.asked = asked
        self.subject = msg.subject
        self.inbox = msg.reply
        self.credit = asked.window or WINDOW
        self.more = Signal()
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()


class LogProducer:
    """`inbox` is where answers to heartbeats come. `watch_forever` must run beside it."""

    def __init__(self, link: Link, crew: Crew, answers: Answers, inbox: str, source: LogSource) -> None:
        self._link = link
        self._crew = crew
        self._answers = answers
        self._inbox = inbox
        self._source = source
        self._streams: dict[str, _Stream] = {}
        link.on_lost.append(self._stop_all)

    def receive(self, msg: Msg) -> None:
        """Wishes for a log, and credit for those that are read."""
        try:
            if msg.subject.endswith(LOGS):
                self._open(decode(msg.data, Open), msg)
            elif msg.subject.endswith(LOG_CREDIT):
                self._give(decode(msg.data, Credit))
        except msgspec.DecodeError as e:
            logger.warning("a request on %s cannot be read: %s", msg.subject, e)
            self._crew.start(say(self._link, msg.reply, close_frame(BadRequest(f"the request cannot be read: {e}"))))

    async def watch_forever(self) -> None:
        """Ask the consumers, again and again, which of our streams they still read."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            consumers = {stream.asked.heart_beat_request_sub for stream in self._streams.values()}
            for consumer in consumers:
                await self._check(consumer)

    def _open(self, asked: Open, msg: Msg) -> None:
        query = decode(asked.body, LogQuery)
        stream = _Stream(asked, msg)
        self._streams[asked.stream_id] = stream
        stream.task = self._crew.start(self._produce(stream, query))

    def _give(self, credit: Credit) -> None:
        stream = self._streams.get(credit.stream_id)
        if stream is None:
            return
        if not credit.frames:
            stream.stop()
            return
        stream.credit += credit.frames
        stream.more.fire()

    async def _produce(self, stream: _Stream, query: LogQuery) -> None:
        error: BacalhauError | None = None
        try:
            await self._send_all(stream, self._source(query.execution_id, query.tail, query.follow))
        except BacalhauError as e:
            error = e
        except Exception as e:
            logger.exception("reading the logs of %s failed", query.execution_id)
            error = BacalhauError(f"the logs cannot be read: {type(e).__name__}: {e}")
        finally:
            self._streams.pop(stream.asked.stream_id, None)
        await say(self._link, stream.inbox, close_frame(error))

    async def _send_all(self, stream: _Stream, lines: AsyncIterator[tuple[int, str]]) -> None:
        try:
            async for kind, text in lines:
                for frame in data_frames(kind, text):
                    await self._wait_for_credit(stream)
                    await self._link.publish(stream.inbox, frame)
                    stream.credit -= 1
        finally:
            if isinstance(lines, AsyncGenerator):
                await lines.aclose()

    async def _wait_for_credit(self, stream: _Stream) -> None:
        if stream.credit:
            return
        if stream.asked.window == 0:
            await self._link.flush()
            stream.credit = WINDOW
        while not stream.credit:
            await stream.more.wait(HEARTBEAT_SECONDS)

    async def _check(self, consumer: str) -> None:
        mine = {
            stream_id: stream
            for stream_id, stream in self._streams.items()
            if stream.asked.heart_beat_request_sub == consumer
        }
        dead = list(mine)
        if not dead:
            return
        question = Frame(consumer, msgspec.json.encode(Heartbeat({mine[dead[0]].subject: dead})))
        with suppress(Unavailable):
            msg = await self._answers.ask(question, self._inbox, HEARTBEAT_LIMIT)
            with suppress(msgspec.DecodeError):
                answer = decode(msg.data, HeartbeatAnswer)
                dead = [stream_id for ids in (answer.dead or {}).values() for stream_id in ids]
        for stream_id in dead:
            if stream_id in mine:
                mine[stream_id].stop()

    def _stop_all(self) -> None:
        for stream in tuple(self._streams.values()):
            stream.stop()
