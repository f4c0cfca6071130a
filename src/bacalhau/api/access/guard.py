"""The guard at the door of the API. It decides who may do what before any handler sees a request, for users of the
configuration and for bearers of an identity provider's tokens.
"""

import asyncio
import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

import bcrypt
import msgspec

from bacalhau.api.access.token import TokenReader
from bacalhau.api.http.edge import ASGIApp, Receive, Scope, Send, answer_now
from bacalhau.api.http.errors import CALLER, READS_JOBS, REQUEST_ID
from bacalhau.config.access import HASHED, Auth, User
from bacalhau.lib.base64url import read_base64url
from bacalhau.lib.errors import Unauthorized, Unavailable
from bacalhau.lib.wire import decode
from bacalhau.models.wire.api import ErrorBody

OPEN = ("/api/v1/auth", "/api/v1/version", "/api/v1/agent/alive", "/api/v1/agent/version", "/api/v1/agent/authconfig")
# They point to open places, or answer health checks, which send no credentials.
_OPEN_EXACTLY = ("/", "/version", "/livez", "/healthz", "/readyz", "/api/v1/livez", "/api/v1/healthz")
_RESOURCES = {
    "/api/v1/agent": "agent",
    "/api/v1/openapi.json": "agent",
    "/metrics": "agent",
    "/api/v1/id": "agent",
    "/api/v1/node_info": "agent",
    "/id": "agent",
    "/node_info": "agent",
    "/api/v1/orchestrator/jobs": "job",
    "/api/v1/orchestrator/activity": "job",
    "/api/v1/orchestrator/events": "job",
    "/api/v1/requester": "job",
    "/requester": "job",
    "/api/v1/requester/nodes": "node",
    "/requester/nodes": "node",
    "/ipfs": "job",
    "/api/v1/orchestrator/nodes": "node",
}
_READING = ("GET", "HEAD")
_QUESTIONS = tuple(
    f"/requester/{word}" for word in ("list", "states", "results", "events")
)  # the older generation asks with POST
_EXPLAINED, _LINKS = "/orchestrator/jobs/explain", "/results/links"  # they change nothing
_REMEMBERED = 1024  # good credentials; checking a bcrypt hash takes longer than most requests


class Caller(NamedTuple):
    name: str
    actions: frozenset[str]


def is_open(path: str) -> bool:
    return path in _OPEN_EXACTLY or any(path == place or path.startswith(place + "/") for place in OPEN)


def needed_action(method: str, path: str) -> str:
    """`read:job`; a place that belongs to no resource needs the right to change nodes."""
    found = max((place for place in _RESOURCES if path == place or path.startswith(place + "/")), key=len, default="")
    is_question = path.removeprefix("/api/v1") in (*_QUESTIONS, _EXPLAINED) or path.endswith(_LINKS)
    verb = "read" if method in _READING or is_question else "write"
    return f"{verb}:{_RESOURCES[found]}" if found else "write:node"


def is_allowed(actions: Iterable[str], needed: str) -> bool:
    return bool({"*", needed, needed.partition(":")[0] + ":*"} & set(actions))


class Guard:
    """An ASGI layer. Refusals are 401 and 403 in the API's envelope; a socket is refused before it opens."""

    def __init__(self, app: ASGIApp, auth: Auth) -> None:
        self._app = app
        self._users = auth.users
        self._tokens = TokenReader(auth.oauth2) if auth.oauth2.provider_id else None
        self._good: OrderedDict[bytes, Caller] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if is_open(path):
            await self._app(scope, receive, send)
            return
        method = scope.get("method", "GET")
        try:
            caller = await self._caller(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"))
        except Unauthorized as e:
            await _refuse(scope, send, _body(401, "Request Unauthorized", "Unauthorized", e.message))
            return
        except Unavailable as e:
            await _refuse(scope, send, ErrorBody(status=503, message=e.message, code=e.code, component="Authorizer"))
            return
        scope[CALLER] = caller.name
        needed = needed_action(method, path)
        if not is_allowed(caller.actions, needed):
            reason = f"user '{caller.name}' does not have the required capability '{needed}'"
            await _refuse(scope, send, _body(403, "Request Forbidden", "Forbidden", reason))
            return
        scope[READS_JOBS] = is_allowed(caller.actions, "read:job")
        await self._app(scope, receive, send)

    async def _caller(self, header: str) -> Caller:
        """Find out who sent an Authorization header. Raises Unauthorized with the reason."""
        mark = hashlib.sha256(header.encode()).digest()
        if (known := self._good.get(mark)) is not None:
            return known
        scheme, _, value = header.strip().partition(" ")
        value = value.strip()
        if not header:
            raise Unauthorized("Missing Authorization header")
        if scheme.lower() == "bearer" and _is_jwt(value):
            return await self._bearer(value)
        if scheme.lower() == "bearer":
            caller = _by_key(self._users, value)
        elif scheme.lower() == "basic":
            caller = await _by_password(self._users, value)
        else:
            raise Unauthorized("unsupported authentication method")
        self._good[mark] = caller
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return caller

    async def _bearer(self, token: str) -> Caller:
        if self._tokens is None:
            raise Unauthorized("this server accepts no tokens: no identity provider is configured")
        return Caller(*await self._tokens.read(token))


def _by_key(users: Iterable[User], key: str) -> Caller:
    found = [user for user in users if user.api_key and hmac.compare_digest(user.api_key.encode(), key.encode())]
    if not found:
        raise Unauthorized("invalid API key")
    return Caller(found[0].name, found[0].actions)


async def _by_password(users: Iterable[User], value: str) -> Caller:
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError as e:  # no base64, or text that is not UTF-8
        raise Unauthorized("invalid basic auth credentials") from e
    found = next((user for user in users if user.username and user.username.lower() == name.lower()), None)
    if found is None or not await asyncio.to_thread(_is_password, found.password, password):
        raise Unauthorized("invalid basic auth credentials")
    return Caller(found.name, found.actions)


def _is_password(stored: str, given: str) -> bool:
    if HASHED.fullmatch(stored):
        return len(given.encode()) <= 72 and bcrypt.checkpw(given.encode(), stored.encode())
    return hmac.compare_digest(stored.encode(), given.encode())


def _is_jwt(text: str) -> bool:
    """Three parts, the first two of them JSON objects."""
    parts = text.split(".")
    try:
        return len(parts) == 3 and all(isinstance(decode(read_base64url(part), Any), dict) for part in parts[:2])
    except ValueError:
        return False


def _body(status: int, message: str, code: str, reason: str) -> ErrorBody:
    return ErrorBody(status=status, message=message, code=code, component="Authorizer", details={"reason": reason})


async def _refuse(scope: Scope, send: Send, body: ErrorBody) -> None:
    headers = [(b"www-authenticate", b'Basic realm="Bacalhau", Bearer')] if body.status == 401 else None
    await answer_now(
        scope, send, body.status, msgspec.structs.replace(body, request_id=str(scope.get(REQUEST_ID, ""))), headers
    )
