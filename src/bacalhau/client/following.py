"""Events as a server tells them, one after another (Server-Sent Events), over restarts of the server.

After an interruption the stream goes on behind the last event that came, so none comes twice and none is missing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

import msgspec

from bacalhau.border.bodies import PAGE, BodyTooLong
from bacalhau.client.transport import Transport
from bacalhau.client.waiting import FIRST_RETRY, PATIENCE, SLOWEST_RETRY
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.wire import decode
from bacalhau.models.execution.event import JobHistory

SILENCE = 45  # seconds: the server says something every 15


class Told(NamedTuple):
    """One event of a stream; `id` is the place behind it, "" where it has none."""

    kind: str
    id: str
    data: str


async def follow_events(transport: Transport, path: str, query: Mapping[str, Any]) -> AsyncGenerator[JobHistory, None]:
    """Yield the rows of a stream of events, until the job has ended, or for ever where it is of all jobs.

    Raises the server's error, or Unavailable after PATIENCE seconds without a server.
    """
    last, pause, heard = "", FIRST_RETRY, time.monotonic()
    while True:
        try:
            stream = transport.stream(path, {**query, "last_event_id": last}, seconds=SILENCE)
            async with aclosing(stream) as pieces:
                async for told in read_stream(pieces):
                    last, pause, heard = told.id or last, FIRST_RETRY, time.monotonic()
                    if told.kind == "history":
                        yield _row(told)
                    elif told.kind == "end":
                        return
            if not last:
                return
        except Unavailable:
            if time.monotonic() + pause > heard + PATIENCE:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, SLOWEST_RETRY)


def _row(told: Told) -> JobHistory:
    try:
        return decode(told.data, JobHistory)
    except msgspec.DecodeError as e:
        raise BacalhauError(f"the server sent an event that cannot be read: {e}") from e


async def read_stream(pieces: AsyncIterator[bytes]) -> AsyncIterator[Told]:
    """Read events from the pieces of a stream. Raises BodyTooLong for one larger than any event is."""
    kind, place, data = "", "", []
    async for line in _lines(pieces):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "id":
            place = value
        elif name == "data":
            data.append(value)
        elif not line:
            yield Told(kind, place, "\n".join(data))
            kind, data = "", []


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > PAGE:
            raise BodyTooLong("the server sent an event that has no end", hint="is this a server of Bacalhau?")
        for line in whole:
            yield line.rstrip(b"\r").decode("utf-8", "replace")
