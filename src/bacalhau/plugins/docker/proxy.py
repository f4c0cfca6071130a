"""An HTTP proxy that lets each task reach the domains of its own job, and nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from bacalhau.border.addresses import AddressRefused, Reach
from bacalhau.border.connect import open_connection
from bacalhau.lib.aio import together
from bacalhau.lib.network import network_fault
from bacalhau.plugins.docker.domains import match_domain

HEAD_LIMIT = 64 << 10  # bytes of request line and headers
HEAD_SECONDS = 30.0
CONNECT_SECONDS = 30.0
_PIECE = 64 << 10
log = logging.getLogger(__name__)


class Guest(NamedTuple):
    """A task that calls the proxy: one of this job, which may reach these domains."""

    job_id: str
    domains: tuple[str, ...]


FindGuest = Callable[[str], Awaitable[Guest | None]]


class _Refused(Exception):
    """`status` and a text for whoever runs the task."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class _Call(NamedTuple):
    """A request to the proxy: the server, and the bytes to send there first; a tunnel sends none."""

    host: str
    port: int
    head: bytes


@asynccontextmanager
async def proxy(address: str, port: int, find_guest: FindGuest, reach: Reach) -> AsyncIterator[None]:
    """Serve at `address`:`port` while the block runs, and connect where `reach` allows it.

    Raises OSError when nobody can listen there.
    """
    open_now: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        try:
            await _serve(reader, writer, find_guest, reach)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError) as e:
            log.debug("a connection through the proxy ended: %s", e)
        finally:
            open_now.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, address, port, limit=HEAD_LIMIT)
    try:
        yield
    finally:
        server.close()
        for writer in open_now:
            writer.transport.abort()
        await server.wait_closed()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, find_guest: FindGuest, reach: Reach
) -> None:
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        guest = await find_guest(writer.get_extra_info("peername")[0])
        if guest is None:
            raise _Refused("403 Forbidden", "this proxy is for the tasks of this node alone")
        call = read_head(head.decode("latin-1"), guest)
        far_reader, far_writer = await _connect(call, reach)
    except _Refused as e:
        await _answer(writer, e.status, e.text)
        return
    try:
        if call.head:
            far_writer.write(call.head)
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await together(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        far_writer.close()


def read_head(head: str, guest: Guest) -> _Call:
    """Read the head of a request.

    Raises _Refused for what is no request to a proxy, and for a host that the job does not name.
    """
    first, *lines = head.rstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused("400 Bad Request", f"not an HTTP/1 request: {first[:200]}")
    method, target, version = words
    is_tunnel = method.upper() == "CONNECT"
    parts = urlsplit(f"//{target}" if is_tunnel else target)
    try:
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        host, port = "", 0
    if not host or (not is_tunnel and parts.scheme.lower() != "http") or (is_tunnel and parts.port is None):
        raise _Refused("400 Bad Request", f"not a request to a proxy: {first[:200]}")
    if not match_domain(host, guest.domains):
        raise _Refused("403 Forbidden", f"{host} is not among the domains of this job: {', '.join(guest.domains)}")
    if is_tunnel:
        return _Call(host, port, b"")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [
        line
        for line in lines
        if line.partition(":")[0].strip().lower()
        not in ("connection", "proxy-connection", "proxy-authorization", "keep-alive")
    ]
    return _Call(
        host,
        port,
        "\r\n".join(
            [f"{method} {path} {version}", *kept, "Connection: close", f"X-Bacalhau-Job-ID: {guest.job_id}", "", ""]
        ).encode("latin-1"),
    )


async def _connect(call: _Call, reach: Reach) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to an address that the name has now: the name is the job's, but the network is the node's."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await open_connection(reach, call.host, call.port)
    except AddressRefused as e:
        raise _Refused("403 Forbidden", f"{call.host} may not be reached: {e.reason}") from e
    except (OSError, UnicodeError) as e:
        raise _Refused("502 Bad Gateway", f"{call.host}:{call.port} cannot be reached: {network_fault(e)}") from e


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; the other direction may go on."""
    with suppress(ConnectionError):
        while piece := await source.read(_PIECE):
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
