"""One conversation with the API: requests as structs in, answers as structs out, failures as our errors.

Beside `sso` the only place that knows httpx; what is asked is for the verbs in `client`.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from bacalhau.border.bodies import ANSWER, read_body
from bacalhau.border.names import require_name, require_start_of_id
from bacalhau.border.proxies import find_proxy
from bacalhau.client.tokens import bearer, put_token
from bacalhau.config.plugins import ResultDownloaders
from bacalhau.lib import wire
from bacalhau.lib.errors import (
    BacalhauError,
    BadRequest,
    Conflict,
    EngineFailure,
    Forbidden,
    NotFound,
    PublisherFailure,
    StorageFailure,
    TimedOut,
    Unauthorized,
    Unavailable,
    with_hint,
)
from bacalhau.lib.network import network_fault, tls_fault
from bacalhau.models.wire.api import ErrorBody
from bacalhau.models.wire.introduction import IntroduceResponse, ListMethodsResponse

T = TypeVar("T", bound=wire.Model)

PREFIX = "/api/v1"
HOW_TO_START = (
    "start one with `bacalhau devstack` or `bacalhau serve --orchestrator --compute`, or set BACALHAU_API_HOST /"
    " BACALHAU_API_PORT"
)
HOW_TO_ADDRESS = (
    "is this a server of Bacalhau? --api-host and --api-port, BACALHAU_API_HOST and BACALHAU_API_PORT, or a profile say"
    " which one is asked"
)
HOW_TO_TRUST = (
    "trust its authority with --cacert FILE or API.TLS.CAFile, or anybody with --insecure; without TLS leave --tls and"
    " https:// out"
)
_PLACED = ("/orchestrator/jobs", "/orchestrator/events")
_SECONDS = 30.0
_LONGEST = 300.0
_PAUSES = (0.2, 0.6, 1.8)  # seconds before a request is sent again
_KINDS: tuple[type[BacalhauError], ...] = (
    BadRequest,
    NotFound,
    Conflict,
    Unauthorized,
    Forbidden,
    Unavailable,
    TimedOut,
    EngineFailure,
    StorageFailure,
    PublisherFailure,
)
# For answers without a code of ours. Of proxies, 502 and 504 say that the server is away.
_BY_STATUS = {k.status: k for k in _KINDS if k.status != BacalhauError.status} | {502: Unavailable, 504: Unavailable}
_HINTS = {
    401: (
        "set BACALHAU_API_KEY, or BACALHAU_API_USERNAME and BACALHAU_API_PASSWORD; `bacalhau auth info` shows what"
        " is set"
    ),
    403: "ask the administrator of the server for this capability",
}


def path_part(kind: str, name: str) -> str:
    """An id or name as part of a path.

    Raises BadRequest for what can be neither, and for "", which would ask for the list of all. `kind` is job or node.
    """
    if not name.strip():
        raise BadRequest(
            f"the {kind} id is empty",
            hint=f"`bacalhau {kind} list` shows the ids; in a script: the variable holds nothing",
        )
    require = require_start_of_id if kind == "node" else require_name
    return quote(require(name, f"the {kind}"), safe="")


class Endpoint(NamedTuple):
    """The API's address, the credentials to use there, and the settings of downloads.

    `ca_file` is trusted beside the system's authorities, `insecure` trusts everybody; `seconds` limits an answer, 0 is
    the default. `home` is the data directory, with a key and a place for tokens, of a client that may introduce itself;
    None when its credential is set. `namespace` is asked about where a question names none. `context` stands for
    `ca_file` and `insecure`. `transport` carries the requests, None is HTTPX's own.
    """

    url: str
    headers: Mapping[str, str] = {}
    downloads: ResultDownloaders = ResultDownloaders()
    insecure: bool = False
    ca_file: str = ""
    seconds: float = 0
    home: Path | None = None
    namespace: str = ""
    context: ssl.SSLContext | None = None
    transport: httpx.AsyncBaseTransport | None = None

    def trust(self) -> ssl.SSLContext:
        """Make the rules by which a server's certificate is trusted. Raises BadRequest for a `ca_file` without
        certificates, also when `insecure` makes it needless.
        """
        if self.context is not None:
            return self.context
        context = ssl.create_default_context()
        try:
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
        except OSError as e:
            reason = "it holds no certificates" if isinstance(e, ssl.SSLError) else (e.strerror or str(e)).lower()
            raise BadRequest(
                f"cannot use the certificates in {self.ca_file}: {reason}",
                hint="name a PEM file with --cacert or API.TLS.CAFile",
            ) from e
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Answer(NamedTuple):
    """An answer whose body was read, within a bound."""

    head: httpx.Response
    body: bytes


class Transport:
    """The requests to one server, over connections that are kept; `url` has no slash at its end."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Make the way to a server, without a connection. Raises BadRequest for a URL that cannot be one."""
        self.endpoint = endpoint
        self.url = endpoint.url.rstrip("/")
        self._http = _make_http(endpoint)

    async def aclose(self) -> None:
        """Close the connections. A second call does nothing."""
        await self._http.aclose()

    def require_open(self) -> None:
        """Raise RuntimeError when the connections were closed."""
        if self._http.is_closed:
            raise RuntimeError("the client is closed: open another one")

    async def ask(self, kind: type[T], path: str, query: Mapping[str, Any] | None = None, *, seconds: float = 0) -> T:
        """Send a GET, and again where its answer was lost; empty and zero values of the query are left out. One that
        waits `seconds` for its answer is sent once: who waits has a patience of its own. Raises the server's error, or
        Unavailable.
        """
        params = [(k, v) for k, v in self._placed(path, query).items() if v not in ("", 0, None, False, ())]
        send = partial(self._send, kind, "GET", path, params=params, seconds=seconds)
        return await (send() if seconds else self._again(send))

    def _placed(self, path: str, query: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the parameters of a question; one about jobs has the namespace of this client where it names none."""
        own = self.endpoint.namespace if path.startswith(_PLACED) else ""
        return dict(query or {}) | ({"namespace": own} if own and not (query or {}).get("namespace") else {})

    async def stream(self, path: str, query: Mapping[str, Any], *, seconds: float = 0) -> AsyncGenerator[bytes, None]:
        """Send a GET and yield its answer piece by piece; between two of them may be so many seconds. Raises the
        server's error, or Unavailable.
        """
        params = [(k, v) for k, v in self._placed(path, query).items() if v]
        limit = httpx.Timeout(seconds or self.endpoint.seconds or _SECONDS, connect=10)
        try:
            async with self._http.stream("GET", self.url + PREFIX + path, timeout=limit, params=params) as answer:
                if answer.is_error or answer.has_redirect_location:
                    self._good(Answer(answer, await read_body(answer.aiter_bytes(), ANSWER, self.url)))
                async for piece in answer.aiter_bytes():
                    yield piece
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise unreachable(self.url, e) from e

    async def tell_again(self, kind: type[T], method: str, path: str, body: wire.Model) -> T:
        """Send a request with a body that may come twice, and again where its answer was lost. Raises the server's
        error, or Unavailable.
        """
        return await self._again(partial(self._send, kind, method, path, content=wire.encode(body)))

    async def _again(self, send: Callable[[], Awaitable[T]]) -> T:
        """Send a request, and again after short pauses where a server that was reached did not answer it. One that
        cannot be reached, or that has not answered in time, is not asked again.
        """
        for pause in _PAUSES:
            try:
                return await send()
            except Unavailable as e:
                if isinstance(e.__cause__, httpx.ConnectError | httpx.TimeoutException | TimeoutError):
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1))
        return await send()

    async def tell(
        self, kind: type[T], method: str, path: str, body: wire.Model, query: Mapping[str, Any] | None = None
    ) -> T:
        """Send a request with a body, once. Raises the server's error, or Unavailable."""
        params = [(k, v) for k, v in (self._placed(path, query) if query is not None else {}).items() if v]
        return await self._send(kind, method, path, params=params, content=wire.encode(body))

    async def _send(self, kind: type[T], method: str, path: str, *, seconds: float = 0, **kwargs: Any) -> T:
        answer = await self._request(method, path, seconds, **kwargs)
        if answer.head.status_code == 401 and self.endpoint.home and await self._introduce(self.endpoint.home):
            answer = await self._request(method, path, seconds, **kwargs)
        return self._read(kind, self._good(answer))

    async def _request(self, method: str, path: str, seconds: float = 0, **kwargs: Any) -> Answer:
        limit = httpx.Timeout(seconds or self.endpoint.seconds or _SECONDS, connect=10)
        try:
            async with asyncio.timeout(_LONGEST + seconds):  # httpx limits the silence between two bytes only
                asked = self._http.stream(method, self.url + PREFIX + path, timeout=limit, **kwargs)
                async with asked as answer:
                    return Answer(answer, await read_body(answer.aiter_bytes(), ANSWER, self.url))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as e:
            raise unreachable(self.url, e) from e

    def _good(self, answer: Answer) -> Answer:
        if answer.head.is_error:
            raise _failure(self.url, answer)
        if answer.head.has_redirect_location:
            raise Unavailable(
                f"{self.url} sends its clients on to {answer.head.headers['Location']}",
                hint="name that address: --api-host and --api-port, --tls, or a profile",
            )
        return answer

    def _read(self, kind: type[T], answer: Answer) -> T:
        try:
            return wire.decode(answer.body, kind)
        except msgspec.DecodeError as e:
            raise BacalhauError(
                f"{self.url} gave an answer this client does not understand: {e}",
                hint="is this a Bacalhau API of the 1.x line?",
            ) from e

    async def _introduce(self, home: Path) -> bool:
        """Get a token for this client and keep it; False where the server hands out none. Raises its refusal."""
        offered = await self._request("GET", "/auth")
        if offered.head.is_error:
            return False
        challenge = import_module("bacalhau.client.challenge")
        said = challenge.introduce(self._read(ListMethodsResponse, offered), home)
        if said is None:
            return False
        answer = await self._request("POST", f"/auth/{quote(said.name, safe='')}", content=wire.encode(said))
        # A refusal has the form of an answer, not the one of errors.
        token = challenge.token_of(
            self._read(IntroduceResponse, answer if answer.head.status_code == 401 else self._good(answer))
        )
        with suppress(OSError):  # it is good for this conversation at least
            put_token(home, self.url, token)
        self._http.headers.update(bearer(token))
        self.endpoint = self.endpoint._replace(headers={**self.endpoint.headers, **bearer(token)})
        return True


def _make_http(endpoint: Endpoint) -> httpx.AsyncClient:
    scheme = urlsplit(endpoint.url).scheme
    if scheme not in ("http", "https"):
        raise BadRequest(f"not an URL of an API: {endpoint.url}", hint="write http://HOST:PORT")
    headers = {"Content-Type": "application/json", **endpoint.headers}
    # Reading the certificates takes longer than most requests: without TLS only a file that was named is checked.
    tls = scheme == "https"
    trust = endpoint.trust() if tls or endpoint.ca_file else False
    proxy = None if endpoint.transport else find_proxy(endpoint.url)
    return httpx.AsyncClient(
        headers=headers,
        verify=trust,
        follow_redirects=tls,
        proxy=proxy,
        trust_env=False,
        transport=endpoint.transport,
    )


def unreachable(url: str, error: BaseException) -> Unavailable:
    """Make the error for a server that cannot be reached, with the operating system's reason where there is one."""
    refused = tls_fault(error)
    if refused:
        return with_hint(Unavailable(f"cannot trust the orchestrator at {url}: {refused}", hint=HOW_TO_TRUST))
    if isinstance(error, httpx.RemoteProtocolError):
        return with_hint(
            Unavailable(f"the server at {url} closed the connection without a whole answer", hint=HOW_TO_ADDRESS)
        )
    return with_hint(Unavailable(f"cannot reach the orchestrator at {url}: {_reason(error)}", hint=HOW_TO_START))


def _reason(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, httpx.TimeoutException | TimeoutError) else network_fault(error)


def _failure(url: str, answer: Answer) -> BacalhauError:
    try:
        body = wire.decode(answer.body, ErrorBody)
    except msgspec.DecodeError:
        # Of a gateway that is up while the server is not, or of a program that is none of ours.
        body = ErrorBody(
            message=f"{url} answered {answer.head.status_code} {answer.head.reason_phrase} without an explanation",
            hint=HOW_TO_ADDRESS,
        )
    kind = next((k for k in _KINDS if k.code == body.code), None) or _BY_STATUS.get(
        answer.head.status_code, BacalhauError
    )
    return with_hint(
        kind(
            body.message,
            hint=body.hint or _HINTS.get(answer.head.status_code, ""),
            component=body.component or "Bacalhau",
            retryable=answer.head.status_code in (502, 503, 504),
        )
    )
