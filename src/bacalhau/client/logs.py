"""A job's output as it comes, over the log socket, and again from where it stopped when the connection breaks.

The only place that knows websockets.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from bacalhau.border.proxies import find_proxy
from bacalhau.client.log_piece import LogPiece
from bacalhau.client.transport import PREFIX, Endpoint, path_part, unreachable
from bacalhau.client.waiting import FIRST_RETRY, PATIENCE, SLOWEST_RETRY
from bacalhau.lib.errors import BacalhauError, NotFound, Unavailable
from bacalhau.lib.wire import Model, always, decode

_OPEN_SECONDS = 15
_CLOSE_SECONDS = 1  # a reader that leaves waits no longer for the server's farewell
_DONE = 1000


class _Line(Model):
    type: int = always(factory=int)
    line: str = always(factory=str)


class _Frame(Model):
    value: _Line = msgspec.field(default_factory=_Line, name="value")
    error: str = msgspec.field(default="", name="error")
    execution: str = ""
    position: str = ""


class _Broken(Exception):
    """The connection ended before the log did."""

    def __init__(self, error: Unavailable) -> None:
        super().__init__(error.message)
        self.error = error


class LogReader:
    """One log from beginning to end. `query` are the parameters of the socket."""

    def __init__(self, endpoint: Endpoint, job_id: str, query: Mapping[str, Any]) -> None:
        self._endpoint = endpoint
        self._tls = endpoint.trust() if endpoint.url.startswith("https") else None
        self._job_id = job_id
        self._query = dict(query) | {"positions": True}
        self._places: dict[str, str] = {}
        self._can_resume = True
        self._heard = 0.0

    async def pieces(self) -> AsyncGenerator[LogPiece, None]:
        """Yield the pieces until the log ends. Raises NotFound, Unavailable after PATIENCE seconds without a server,
        or the error that the server sends.
        """
        pause = FIRST_RETRY
        while True:
            began = time.monotonic()
            try:
                async with aclosing(self._connection()) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except _Broken as e:
                if not self._heard or not self._can_resume or time.monotonic() + pause > self._heard + PATIENCE:
                    raise e.error from e
            pause = FIRST_RETRY if self._heard > began else min(pause * 2, SLOWEST_RETRY)
            await asyncio.sleep(pause)

    async def _connection(self) -> AsyncGenerator[LogPiece, None]:
        base = self._endpoint.url.rstrip("/")
        try:
            async with connect(
                self._url(base),
                additional_headers=dict(self._endpoint.headers),
                ssl=self._tls,
                proxy=find_proxy(base),
                open_timeout=_OPEN_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                max_size=None,
            ) as socket:
                self._heard = time.monotonic()
                async for message in socket:
                    yield self._read(message)
                if socket.close_code != _DONE:
                    self._heard = time.monotonic()
                    raise _Broken(_lost(base))
        except ConnectionClosed as e:
            self._heard = time.monotonic()
            raise _Broken(_lost(base)) from e
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as e:
            raise _Broken(unreachable(base, e)) from e

    def _url(self, base: str) -> str:
        query = self._query
        if self._places:
            query = {k: v for k, v in query.items() if k not in ("tail", "tail_lines")} | {
                "after": [f"{e}:{p}" for e, p in self._places.items()]
            }
        params = urlencode(
            {k: "true" if v is True else v for k, v in query.items() if not (v is None or v is False or v == "")},
            doseq=True,
        )
        return f"ws{base.removeprefix('http')}{PREFIX}/orchestrator/jobs/{path_part('job', self._job_id)}/logs?{params}"

    def _read(self, message: str | bytes) -> LogPiece:
        try:
            frame = decode(message, _Frame)
        except msgspec.DecodeError as e:
            raise Unavailable(f"{self._endpoint.url} sent a piece of a log that cannot be read: {e}") from e
        self._heard = time.monotonic()
        if frame.error:
            kind = NotFound if "not found" in frame.error or "unable to find" in frame.error else BacalhauError
            raise kind(frame.error)
        if frame.position:
            self._places[frame.execution] = frame.position
        else:
            self._can_resume = False
        return LogPiece(frame.value.type, frame.value.line, frame.execution)


def _lost(base: str) -> Unavailable:
    return Unavailable(f"the connection to {base} was lost while reading the log", hint="run the command again")
