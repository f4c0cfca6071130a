"""Small HTTP requests over the connections of an aiohttp session.

The session makes a dozen objects for each request, which is four fifths of the time that a small one takes. Here a
request is written as one piece of bytes. The rule of addresses, TLS, the pool of connections, the reader of answers,
its limits and its errors are the session's. Requests through a proxy and large bodies are left to the session itself.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import aiohttp
import yarl
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError

from bacalhau.border.connect import answer_seconds

MOST_BODY = 256 << 10  # bytes; more of them are sent piece by piece
_BUFFER_BYTES = 1 << 20
_UNSENT_BYTES = 64 << 10  # that a connection holds before it asks its writer to wait
_MOST_INTERIM = 16  # answers of status 1xx before the one that counts
_URL = re.compile(r"(https?://[\w.:\[\]-]+)(/[!\"$-~]*)", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BODILESS = ("GET", "HEAD")


class Question(NamedTuple):
    """A request; `confirm` is awaited right before it is sent, and what it raises keeps it from being sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    confirm: Callable[[], Awaitable[None]]

    @property
    def is_small(self) -> bool:
        """Tell whether an `Exchange` can send it: a plain URL, and a body that is sent in one piece."""
        return len(self.body) <= MOST_BODY and _URL.fullmatch(self.url) is not None


class Incoming(NamedTuple):
    """An answer whose body is still to be read from `content`. `server` is its origin, such as `https://host:port`."""

    server: str
    status: int
    headers: Mapping[str, str]
    content: aiohttp.StreamReader

    @property
    def content_length(self) -> int | None:
        """Return how many bytes the answer announced, None where it did not."""
        said = self.headers.get("Content-Length")
        return None if said is None else int(said)


class Exchange:
    """Small requests over the connections of one session, which outlives it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._silence, self._limit = session.timeout.sock_read, answer_seconds(session.timeout)
        self._places: dict[str, aiohttp.ClientRequest] = {}

    @asynccontextmanager
    async def open(self, question: Question) -> AsyncIterator[Incoming]:
        """Send a small request, and open a block in which its answer is read.

        Raises what the session would: aiohttp.ClientError, TimeoutError. Raises ValueError for a URL or a header that
        would end a line.
        """
        server, target = _split(question.url)
        place = self._place(server)
        data = _compose(question, place.headers["Host"], target)
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(self._limit) as limit:
            connection = await self._connect(place)
            try:
                limit.reschedule(None)
                await question.confirm()
                limit.reschedule(None if self._limit is None else clock() + self._limit)
                answer = await self._ask(connection, server, question.method, data)
            except BaseException:
                connection.close()
                raise
        try:
            yield answer
        except BaseException:
            connection.close()
            raise
        connection.release()  # which closes it where something of the answer was not read

    def _place(self, server: str) -> aiohttp.ClientRequest:
        """Return what names a server to the pool of connections."""
        if server not in self._places:
            loop = asyncio.get_running_loop()
            self._places[server] = aiohttp.ClientRequest("GET", yarl.URL(server), loop=loop, session=self._session)
        return self._places[server]

    async def _connect(self, place: aiohttp.ClientRequest) -> Connection:
        connector = self._session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        try:
            return await connector.connect(place, [], self._session.timeout)
        except TimeoutError as e:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {place.url}") from e

    async def _ask(self, connection: Connection, server: str, method: str, data: bytes) -> Incoming:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            skip_payload=method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._silence,
            read_bufsize=_BUFFER_BYTES,
        )
        transport.write(data)
        if len(data) > _UNSENT_BYTES:
            # A server that refuses without reading all may have answered before it went away.
            with suppress(ConnectionError):
                async with asyncio.timeout(self._silence):
                    await protocol._drain_helper()
        for _ in range(_MOST_INTERIM):
            protocol.start_timeout()
            try:
                message, payload = await protocol.read()
            except HttpProcessingError as e:
                raise aiohttp.ClientPayloadError(e.message) from e
            if not 100 <= message.code < 200 or message.code == 101:
                return Incoming(server, message.code, message.headers, payload)
        raise aiohttp.ClientPayloadError("the server announces an answer again and again, and gives none")


def _split(url: str) -> tuple[str, str]:
    """Split a URL into its origin and the rest. Raises ValueError for one that is not plain."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("a URL with characters that have no place in a request")
    return found[1], found[2]


def _compose(question: Question, host: str, target: str) -> bytes:
    """Write a request as it goes over the line. Raises ValueError for a header with control characters."""
    values = "".join(question.headers.values())
    if _CONTROL.search(values):
        raise ValueError("a header with control characters")
    lines = [f"{question.method} {target} HTTP/1.1", f"Host: {host}", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in question.headers.items()]
    if question.body or question.method not in _BODILESS:
        lines.append(f"Content-Length: {len(question.body)}")
    return "\r\n".join((*lines, "", "")).encode() + question.body
