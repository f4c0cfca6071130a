"""The plain ASGI layer around every HTTP exchange: versions of both sides, the request's id, web pages, `?pretty`.

Limits on bodies, routing and errors belong to the application below.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from bacalhau.api.http.answer import PRETTY, go_json
from bacalhau.api.http.client_version import HEADER, decide_refusal
from bacalhau.api.http.errors import REQUEST_ID
from bacalhau.api.http.metrics import Traffic
from bacalhau.api.http.origin import Door
from bacalhau.api.http.request import HEADERS, SLASH
from bacalhau.models.node.version import BuildVersion
from bacalhau.models.wire.api import ErrorBody

Headers = list[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

_SLASHES = re.compile(r"/{2,}")
_BEGINNINGS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
_METHODS = b"GET,HEAD,PUT,PATCH,POST,DELETE"


def version_headers(version: BuildVersion) -> Headers:
    date = version.build_date.replace("T", " ").replace("Z", " +0000 UTC")
    told = {
        "x-bacalhau-git-version": version.git_version,
        "x-bacalhau-git-commit": version.git_commit,
        "x-bacalhau-build-date": date,
        "x-bacalhau-build-os": version.goos,
        "x-bacalhau-arch": version.goarch,
    }
    return [(name.encode(), value.encode()) for name, value in told.items()]


class Edge:
    def __init__(self, app: ASGIApp, version: BuildVersion, absent: ErrorBody, door: Door, traffic: Traffic) -> None:
        self._app, self._absent, self._door, self._traffic = app, absent, door, traffic
        self._version = version.git_version
        self._headers = [*version_headers(version), (b"vary", b"Origin")]
        # Unique without asking the system for randomness at every request.
        self._prefix = token_hex(8).encode()
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _tidy(scope)
        asked = scope[HEADERS] = dict(scope["headers"])
        origin, host = (asked.get(name, b"").decode("latin-1") for name in (b"origin", b"host"))
        allowed = [(b"access-control-allow-origin", origin.encode("latin-1"))] if self._may_read(origin, host) else []
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            await _answer_preflight(asked, allowed, send)
            return
        request_id = asked.get(b"x-request-id") or b"%s%016x" % (self._prefix, next(self._numbers))
        scope[REQUEST_ID] = request_id.decode("latin-1")
        common = [*self._headers, (b"x-request-id", request_id), *allowed]

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _BEGINNINGS:
                message["headers"] = [*message.get("headers", ()), *common]
                self._traffic.note(scope, message.get("status", 101))
            await send(message)

        if closed := self._door.refusal(scope["type"], scope.get("method", ""), origin, host):
            body = msgspec.structs.replace(closed, request_id=scope[REQUEST_ID])
            await answer_now(scope, send_with_headers, closed.status, body)
        elif refusal := decide_refusal(asked.get(HEADER, b"").decode("latin-1"), scope["path"], self._version):
            await answer_now(scope, send_with_headers, refusal.status, refusal.body)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, _Unopened(scope, send_with_headers, self._absent))
        else:
            pretty = b"pretty" in scope["query_string"].lower() and _wants_pretty(scope)
            scope[PRETTY] = pretty
            await self._app(scope, receive, _indented(send_with_headers) if pretty else send_with_headers)

    def _may_read(self, origin: str, host: str) -> bool:
        return bool(origin) and self._door.is_allowed(origin, host)


class _Unopened:
    """A socket that is closed before it opened led nowhere, and is answered with `absent`."""

    def __init__(self, scope: Scope, send: Send, absent: ErrorBody) -> None:
        self._absent = absent
        self._scope, self._send = scope, send
        self._is_open = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "websocket.close" and not self._is_open:
            await answer_now(
                self._scope, self._send, 404, msgspec.structs.replace(self._absent, request_id=self._scope[REQUEST_ID])
            )
            return
        self._is_open = True
        await self._send(message)


async def answer_now(
    scope: Scope, send: Send, status: int, body: msgspec.Struct, headers: Headers | None = None
) -> None:
    """An answer from before the application: also to the request that would have opened a socket."""
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    text = go_json(body)
    told = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode()), *(headers or ())]
    await send({"type": f"{kind}.start", "status": status, "headers": told})
    await send({"type": f"{kind}.body", "body": text, "more_body": False})


async def _answer_preflight(asked: dict[bytes, bytes], allowed: Headers, send: Send) -> None:
    headers = [
        (b"vary", b"Origin"),
        (b"vary", b"Access-Control-Request-Method"),
        (b"vary", b"Access-Control-Request-Headers"),
    ]
    if allowed:
        headers += [*allowed, (b"access-control-allow-methods", _METHODS)]
    if wanted := asked.get(b"access-control-request-headers"):
        headers.append((b"access-control-allow-headers", wanted))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _tidy(scope: Scope) -> None:
    """One spelling of a path for all who judge by it.

    A name with an escaped slash stays one segment; `request.named` gives the slash back.
    """
    raw = scope.get("raw_path") or b""
    if b"%" in raw and b"%2f" in raw.lower():
        segments = raw.decode("ascii", "replace").split("/")
        scope["path"] = "/".join(unquote(segment).replace("/", SLASH) for segment in segments)
    path = _SLASHES.sub("/", scope["path"]) if "//" in scope["path"] else scope["path"]
    scope["path"] = path.rstrip("/") or "/"


def _wants_pretty(scope: Scope) -> bool:
    names = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return any(name.lower() == "pretty" for name, _ in names)


def _indented(send: Send) -> Send:
    """JSON answers of one piece are laid out with two spaces; all others pass; those in pieces are laid out."""
    held: list[Message] = []

    async def send_indented(message: Message) -> None:
        if message["type"] == "http.response.start" and dict(message["headers"]).get(b"content-type", b"").startswith(
            b"application/json"
        ):
            held.append(message)
            return
        if held and message.get("more_body"):
            await send(held.pop())
        elif held and message["type"] == "http.response.body":
            start = held.pop()
            compact: bytes = message["body"]
            body = msgspec.json.format(compact, indent=2) + b"\n"
            kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
            await send({**message, "body": body})
            return
        await send(message)

    return send_indented
