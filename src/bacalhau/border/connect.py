"""HTTP connections that obey the rule of addresses and take no credentials that nobody gave them.

aiohttp's own handling of proxies would send passwords of `~/.netrc` to whatever host a job or a server names, so the
proxy is found here.
"""

import asyncio
import socket
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bacalhau.border.addresses import AddressRefused, Reach


def connector(reach: Reach, **settings: Any) -> aiohttp.TCPConnector:
    """Make a connector that opens no connection which `reach` refuses; `settings` are aiohttp's.

    The resolver leaves out refused addresses of a name; the socket factory also meets addresses written as such.
    """

    def open_socket(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        reach.require(address[0])
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(resolver=_Resolver(reach), socket_factory=open_socket, **settings)


class _Resolver(AbstractResolver):
    """The system's resolver without the addresses that the rule refuses."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
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


async def open_connection(reach: Reach, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address of a host that answers. Raises AddressRefused, or OSError for the last failure."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"{host} has no address")
    for *_, address in found:
        literal = str(address[0])
        reach.require(literal)
        try:
            return await asyncio.open_connection(literal, port)
        except OSError as e:
            failure = e
    raise failure


def find_proxy(url: str) -> str | None:
    """Find the environment's proxy for a URL; None where it is connected to directly."""
    parts = urlsplit(url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
