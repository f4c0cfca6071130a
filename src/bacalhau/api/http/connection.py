"""One client's connection. The head of a request has limits of time and size, so that slow clients cannot hold the
server's connections; the head of an answer and its body leave in one piece.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidMessage

HEAD_SECONDS = 20.0
MAX_HEAD = 64 << 10  # bytes
MAX_HELD = 64 << 10  # bytes of an answer that wait for more; above it the transport's own flow control must see them


class Joined:
    """A transport that sends what is written in one turn of the event loop as one piece. The HTTP server writes head
    and body apart; each piece would cost a system call here and one at the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._size += len(data)
        if self._size > MAX_HELD:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class Connection(HttpToolsProtocol):
    """The HTTP server's protocol, with limits for the head of a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit: asyncio.TimerHandle | None = None
        self._head = 0
        self._is_in_head = True

    # Uvicorn's own narrowing
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Joined(transport, self.loop)))
        self._limit = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_limit()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stop_limit()
        self._head, self._is_in_head = 0, True

    def on_headers_complete(self) -> None:
        self._stop_limit()
        self._is_in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head:  # a head that came whole needs no limit
            self._limit = self._limit or self.loop.call_later(HEAD_SECONDS, self.transport.close)
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response(f"The head of the request is longer than {MAX_HEAD} bytes.")

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class SocketConnection(WebSocketsSansIOProtocol):
    """A socket's protocol, which also answers a first request that no socket can begin with, as one with a body."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if isinstance(self.conn.handshake_exc, InvalidMessage) and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # else uvicorn logs every refused socket as a fault of ours
