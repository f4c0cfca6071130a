"""HTTP as downloads need it: redirects counted, silence limited, what may pass told apart.

The one place that reads aiohttp's errors.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp
import yarl

from bacalhau.border.addresses import EVERYWHERE, AddressRefused, Reach, refused_address
from bacalhau.border.connect import open_session
from bacalhau.border.proxies import find_proxy
from bacalhau.lib.clock import now_ns
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.network import network_fault, tls_fault
from bacalhau.lib.patience import USUAL, Fault, Passing, asked_seconds

_REDIRECTS = 10
_CONNECT_SECONDS = 10
_REACHABLE = "is the server up, and reachable from the node?"


class UrlClient:
    """Open with `async with`. `reach` says which addresses may be connected to, and a connection bears `silence`
    seconds without a byte.
    """

    def __init__(self, reach: Reach = EVERYWHERE, silence: float = USUAL.silence) -> None:
        self._reach, self._silence = reach, silence

    async def __aenter__(self) -> Self:
        self._session = open_session(
            self._reach,
            connection={"limit": 0},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._silence),
            auto_decompress=False,
            read_bufsize=1 << 20,
            headers={"Accept-Encoding": "identity", "User-Agent": "bacalhau"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @asynccontextmanager
    async def open(
        self, method: str, url: str, headers: Mapping[str, str], also: tuple[int, ...] = ()
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The last answer after redirects: a 2xx, or a status in `also`. Raises StorageFailure, within the
        block too.
        """
        try:
            target = yarl.URL(url, encoded=url.isascii() and " " not in url)
            # aiohttp counts the redirect that it refuses.
            asked = self._session.request(
                method, target, headers=headers, max_redirects=_REDIRECTS + 1, proxy=find_proxy(str(target))
            )
            async with asked as response:
                if not 200 <= response.status < 300 and response.status not in also:
                    raise _refusal(url, response)
                yield response
        except (aiohttp.ClientError, ConnectionError, TimeoutError, AddressRefused) as e:
            raise _translated(url, e, self._silence) from e


def _refusal(url: str, response: aiohttp.ClientResponse) -> StorageFailure:
    led = "" if not response.history else f" (after {len(response.history)} redirects)"
    said = (
        f"non-200 response from URL {without_credentials(url)}{led}: {response.status} {response.reason or ''}".rstrip()
    )
    if response.status not in (408, 429) and response.status < 500:
        return StorageFailure(said, hint="check the URL; the node asks without credentials")
    asked = asked_seconds(response.headers.get("Retry-After", ""), now_ns())
    fault = Fault(f"the server answers {response.status}", asked)
    return Passing(said, hint="the server is busy or broken; try again later").because(fault)


def _translated(url: str, error: Exception, silence: float) -> StorageFailure:
    name = without_credentials(url)
    if refusal := refused_address(error):
        return StorageFailure(f"URL {name} may not be read here: {refusal.reason}", hint=refusal.hint)
    if isinstance(error, aiohttp.TooManyRedirects):
        return StorageFailure(
            f"URL {name} redirects more than {_REDIRECTS} times", hint="name the address that it should lead to"
        )
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | aiohttp.RedirectClientError):
        return StorageFailure(
            f"URL {name} leads to what is not an http address: {error}", hint="check the URL and what it redirects to"
        )
    if fault := tls_fault(error):
        hint = (
            "this node trusts the authorities of its system"
            if "certificate" in fault
            else "write http:// where the server speaks no TLS"
        )
        return StorageFailure(f"URL {name} cannot be trusted: {fault}", hint=hint)
    if isinstance(error, TimeoutError):
        silent = Fault("the server is silent", answered=not isinstance(error, aiohttp.ConnectionTimeoutError))
        said = f"URL {name} was silent for too long: {_silence(error, silence)}"
        return Passing(said, hint=_REACHABLE).because(silent)
    if isinstance(error, aiohttp.ClientConnectorError):
        away = Fault(f"the server cannot be reached ({network_fault(error)})", answered=False)
        return Passing(f"URL {name} cannot be reached: {network_fault(error)}", hint=_REACHABLE).because(away)
    if isinstance(error, aiohttp.ClientResponseError):
        return StorageFailure(
            f"URL {name} is not answered in HTTP", hint="check the port, and whether it is http or https"
        )
    broken = "the answer broke off" if isinstance(error, aiohttp.ClientPayloadError) else network_fault(error).lower()
    lost = Passing(f"URL {name}: the connection was lost: {broken}", hint=_REACHABLE)
    return lost.because(Fault("the connection was lost"))


def _silence(error: TimeoutError, seconds: float) -> str:
    connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
    return f"no connection within {_CONNECT_SECONDS} s" if connecting else f"nothing came for {seconds:g} s"
