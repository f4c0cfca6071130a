"""The bulk of large objects: blocking sockets in threads of their own, each filling one buffer again and again.

Half the processor time of aiohttp, which makes new memory for every read. Only the plain case is done here; whatever
is unusual (a refusal, an ignored range, a broken stream) is left to the client, which knows what to make of it.
"""

import asyncio
import http.client
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bacalhau.border.addresses import EVERYWHERE, Reach
from bacalhau.border.connect import connect_blocking

log = logging.getLogger(__name__)
STREAMS = 6
_BUFFER_BYTES = 1 << 20


class Stretch(NamedTuple):
    """The bytes [start, end) of an object, at a signed address, and the file where they belong at the same offset.

    `reach` says which addresses may be connected to.
    """

    url: str
    headers: dict[str, str]
    path: Path
    start: int
    end: int
    reach: Reach = EVERYWHERE


class _Call:
    """A stretch under way, as seen from both sides. Aborting wakes a thread that waits for a silent server."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self._tell = tell
        self._socket: socket.socket | None = None
        self.is_wanted = True

    def tell(self, count: int) -> None:
        if self.is_wanted:
            self._tell(count)

    def uses(self, connection: http.client.HTTPConnection) -> None:
        self._socket = connection.sock
        if not self.is_wanted:
            self.abort()

    def abort(self) -> None:
        self.is_wanted = False
        if self._socket:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class BulkReader:
    """Threads and idle connections; `close` ends both. A connection bears `silence` seconds without a byte."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._threads = ThreadPoolExecutor(STREAMS, "s3-bulk")
        self._local = threading.local()
        self._opened: list[http.client.HTTPConnection] = []
        self._calls: set[_Call] = set()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for call in self._calls:
            call.abort()
        for connection in self._opened:
            connection.close()

    async def receive(self, stretch: Stretch, moved: Callable[[int], None]) -> int:
        """Receive a stretch; return up to where it is in its file: its end, or where the stream broke off.

        `moved` is told of bytes as they arrive.
        """
        loop = asyncio.get_running_loop()
        call = _Call(lambda count: loop.call_soon_threadsafe(moved, count))
        self._calls.add(call)
        try:
            return await loop.run_in_executor(self._threads, self._receive, stretch, call)
        except asyncio.CancelledError:
            call.abort()
            raise
        finally:
            self._calls.discard(call)

    def _receive(self, stretch: Stretch, call: _Call) -> int:
        connection = self._connection(stretch.url)
        at = stretch.start
        # Opened here and not by the caller, who may be gone while this thread still writes.
        descriptor = os.open(stretch.path, os.O_WRONLY)
        try:
            parts = urlsplit(stretch.url)
            if connection.sock is None:
                connection.sock = self._connect(stretch)
            else:
                stretch.reach.require(connection.sock.getpeername()[0])
            connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=stretch.headers)
            call.uses(connection)
            response = connection.getresponse()
            view = memoryview(self._local.buffer)
            is_plain = response.status == 206 and response.length == stretch.end - stretch.start
            while is_plain and call.is_wanted and (got := response.readinto(view)):
                _write(descriptor, view[:got], at)
                at += got
                call.tell(got)
        except (OSError, http.client.HTTPException):
            log.debug("a stretch of %s broke off at byte %d", stretch.path, at, exc_info=True)
        finally:
            os.close(descriptor)
        if at < stretch.end:
            connection.close()
        return at

    def _connection(self, url: str) -> http.client.HTTPConnection:
        """This thread's own, kept open from one stretch to the next as long as the server is the same."""
        server = url[: url.find("/", 8)]
        if getattr(self._local, "server", "") != server:
            self._leave()
            parts = urlsplit(url)
            host = parts.hostname or ""
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            self._local.connection = kind(host, parts.port)
            self._local.server, self._local.buffer = server, bytearray(_BUFFER_BYTES)
            self._opened.append(self._local.connection)
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    def _connect(self, stretch: Stretch) -> socket.socket:
        """Open a socket to an address that the stretch's rule allows. Raises OSError."""
        parts = urlsplit(stretch.url)
        host, is_secure = parts.hostname or "", parts.scheme == "https"
        link = connect_blocking(stretch.reach, host, parts.port or (443 if is_secure else 80), self._silence)
        if not is_secure:
            return link
        context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
        return context.wrap_socket(link, server_hostname=host)

    def _leave(self) -> None:
        """This thread's server so far is not needed any more."""
        if (connection := getattr(self._local, "connection", None)) is not None:
            connection.close()
            self._opened.remove(connection)


def _write(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
