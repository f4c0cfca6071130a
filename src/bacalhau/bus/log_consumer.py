"""The orchestrator's end of log streams: opens them at nodes, hands on what comes, says when nobody reads any more."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import msgspec
from nats.aio.msg import Msg

from bacalhau.bus.answer import NO_RESPONDERS, say
from bacalhau.bus.link import Link
from bacalhau.bus.log_stream import WINDOW, Credit, Heartbeat, HeartbeatAnswer, LogQuery, Open, read_frame
from bacalhau.bus.subject import LOG_CREDIT, LOGS, heartbeat_of, stream_inbox, to_node
from bacalhau.lib.aio import Crew
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.wire import decode, encode

SILENCE_LIMIT = 30.0  # seconds; a producer asks every 10 whether its streams are read
QUEUE_LIMIT = 1024  # frames of a producer that ignores the window


class _Reading:
    def __init__(self, node_id: str, stream_id: str) -> None:
        self.node_id = node_id
        self.stream_id = stream_id
        self.frames: asyncio.Queue[bytes | Unavailable] = asyncio.Queue()
        self.heard = asyncio.get_running_loop().time()

    def fail(self, text: str) -> None:
        self.frames.put_nowait(Unavailable(text))


class LogConsumer:
    """`receivers` must be subscribed while streams are read."""

    def __init__(self, link: Link, crew: Crew) -> None:
        self._link = link
        self._crew = crew
        self._token = secrets.token_hex(11)
        self._readings: dict[str, _Reading] = {}
        self.receivers = {
            f"{stream_inbox('*', self._token)}.*": self._on_frame,
            heartbeat_of(stream_inbox("*", self._token)): self._on_heartbeat,
        }
        link.on_lost.append(self._lose)

    async def stream(self, node_id: str, query: LogQuery) -> AsyncIterator[tuple[int, str]]:
        """(1 stdout | 2 stderr, text) until the end. Raises NotFound or Unavailable."""
        inbox, stream_id = stream_inbox(node_id, self._token), secrets.token_hex(4)
        reading = self._readings[stream_id] = _Reading(node_id, stream_id)
        asked = Open(f"{inbox}.", stream_id, heartbeat_of(inbox), encode(query), WINDOW)
        try:
            await self._link.publish(to_node(node_id, LOGS), msgspec.json.encode(asked), f"{inbox}.{stream_id}")
            taken = 0
            while (found := read_frame(await self._next(reading))) is not None:
                yield found
                taken += 1
                if taken % (WINDOW // 2) == 0:
                    await self._credit(reading, WINDOW // 2)
        finally:
            del self._readings[stream_id]
            await self._credit(reading, 0)

    def node_gone(self, node_id: str) -> None:
        """End what is read from a node that is known to be gone."""
        for reading in self._readings.values():
            if reading.node_id == node_id:
                reading.fail(f"node {node_id} disconnected")

    async def _next(self, reading: _Reading) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(max(reading.heard + SILENCE_LIMIT - loop.time(), 0)):
                    found = await reading.frames.get()
            except TimeoutError as e:
                if loop.time() < reading.heard + SILENCE_LIMIT:
                    continue
                raise Unavailable(f"node {reading.node_id} fell silent while its logs were read") from e
            if isinstance(found, Unavailable):
                raise found
            return found

    async def _credit(self, reading: _Reading, frames: int) -> None:
        await say(
            self._link, to_node(reading.node_id, LOG_CREDIT), msgspec.json.encode(Credit(reading.stream_id, frames))
        )

    def _on_frame(self, msg: Msg) -> None:
        _, node_id, _, stream_id = msg.subject.split(".")
        reading = self._readings.get(stream_id)
        if reading is None or reading.node_id != node_id:
            return
        reading.heard = asyncio.get_running_loop().time()
        if msg.headers and msg.headers.get("Status") == NO_RESPONDERS:
            reading.fail(f"node {reading.node_id} is not connected")
        elif reading.frames.qsize() == QUEUE_LIMIT:
            reading.fail("the logs come faster than they are read")
        elif reading.frames.qsize() < QUEUE_LIMIT:
            reading.frames.put_nowait(msg.data)

    def _on_heartbeat(self, msg: Msg) -> None:
        try:
            asked = decode(msg.data, Heartbeat).active
        except msgspec.DecodeError:
            return
        dead: dict[str, list[str]] = {}
        for subject, ids in asked.items():
            for stream_id in ids:
                reading = self._readings.get(stream_id)
                if reading is None:
                    dead.setdefault(subject, []).append(stream_id)
                else:
                    reading.heard = asyncio.get_running_loop().time()
        self._crew.start(say(self._link, msg.reply, msgspec.json.encode(HeartbeatAnswer(dead))))

    def _lose(self) -> None:
        for reading in self._readings.values():
            reading.fail("the connection was lost while logs were read")
