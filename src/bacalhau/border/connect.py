"""HTTP connections that obey the rule of addresses and take no credentials that nobody gave them.

aiohttp's own handling of proxies would send passwords of `~/.netrc` to whatever host a job or a server names, so the
proxy is found here.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bacalhau.border.addresses import EVERYWHERE, AddressRefused, Reach, is_own
from bacalhau.border.proxies import find_proxy, list_proxies


def open_session(
    reach: Reach = EVERYWHERE, server: str = "", connection: Mapping[str, Any] = MappingProxyType({}), **settings: Any
) -> aiohttp.ClientSession:
    """Open a session that makes no connection which `reach` refuses, reads no `~/.netrc` and keeps no cookies.

    A session for one `server` (a URL) uses the environment's proxy for it; others name a proxy with each request.
    `connection` are settings of aiohttp's connector, the rest those of its session.
    """
    return aiohttp.ClientSession(
        connector=_connector(reach, connection),
        proxy=find_proxy(server) if server else None,
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_check_proxied(reach), _limit_waiting(settings.get("timeout"))),
        **settings,
    )


def _limit_waiting(timeout: aiohttp.ClientTimeout | None) -> Any:
    """Make the limit of the time until an answer begins: twice what connecting and silence may take.

    aiohttp's own limit of silence ends with the first interim answer (status 100), after which a server may be silent
    for ever. A request with a body is not limited, because sending that takes its time.
    """
    seconds = answer_seconds(timeout) if timeout else None

    async def limit(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        async with asyncio.timeout(seconds if request.method in ("GET", "HEAD") else None):
            return await handler(request)

    return limit


def answer_seconds(timeout: aiohttp.ClientTimeout) -> float | None:
    """Return how many seconds may go by until an answer begins, None without limit."""
    parts = (timeout.sock_connect, timeout.sock_read)
    return 2 * sum(filter(None, parts)) if all(parts) else None


def _connector(reach: Reach, settings: Mapping[str, Any]) -> aiohttp.TCPConnector:
    """The resolver leaves out refused addresses of a name; the socket factory also meets addresses written as such."""
    resolver = _Resolver(reach)

    def open_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if address[:2] not in resolver.proxies:
            reach.require(address[0])
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(resolver=resolver, socket_factory=open_socket, **settings)


def _check_proxied(reach: Reach) -> Any:
    """Make the check of requests that go through a proxy, whose own connection says nothing about their target."""

    async def check(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if request.proxy is not None:
            await require_host(reach, request.url.host or "", request.url.port or 0)
        return await handler(request)

    return check


async def require_host(reach: Reach, host: str, port: int) -> None:
    """Return when no address of a host is refused, as far as this machine knows the name. Raises AddressRefused."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return
    for *_, address in found:
        reach.require(str(address[0]))


async def reach_beside(server: str) -> Reach:
    """Make the rule for results that a client fetches, given the URL of its API.

    Services of the client's own machine are open only while the API is on that machine too: elsewhere a node that
    names them leads to somebody else.
    """
    parts = urlsplit(server)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname or "", parts.port, type=socket.SOCK_STREAM)
    except OSError:
        found = []
    own = any(is_own(ipaddress.ip_address(str(address[0]).partition("%")[0])) for *_, address in found)
    return Reach(own=own, setting="")


class _Resolver(AbstractResolver):
    """The system's resolver without the addresses that the rule refuses. `proxies`: addresses and ports of proxies."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = aiohttp.DefaultResolver()
        self._proxy_names = {(parts.hostname or "", parts.port or 0) for parts in map(urlsplit, list_proxies())}
        self.proxies: set[tuple[str, int]] = set(self._proxy_names)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if (host, port) in self._proxy_names:
            self.proxies |= {(each["host"], port) for each in found}
            return found
        kept, refusal = [], None
        for each in found:
            try:
                self._reach.require(each["host"])
                kept.append(each)
            except AddressRefused as e:
                refusal = e
        if refusal and not kept:
            raise refusal
        return kept

    async def close(self) -> None:
        await self._inner.close()


async def read_chunks(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield a body as it comes, and when it breaks off also what had come before, then raise.

    The library itself drops what was not read yet, so a body that breaks off early would never come forward.
    """
    try:
        async for chunk in content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError):
        if left := content._read_nowait(-1):
            yield left
        raise


async def open_connection(reach: Reach, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first allowed address of a host that answers. Raises OSError, AddressRefused among them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"{host} has no address")
    for *_, address in found:
        literal = str(address[0])
        try:
            reach.require(literal)
            return await asyncio.open_connection(literal, port)
        except OSError as e:
            failure = e
    raise failure


def connect_blocking(reach: Reach, host: str, port: int, timeout: float) -> socket.socket:
    """Connect to the first allowed address of a host that answers; `timeout` in seconds is also that of the socket.

    Raises OSError, AddressRefused among them.
    """
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        link = socket.socket(family, kind, protocol)
        try:
            reach.require(str(address[0]))
            link.settimeout(timeout)
            link.connect(address)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
        except OSError as e:
            link.close()
            failure = e
    raise failure
