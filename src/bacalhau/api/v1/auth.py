"""Routes with which a client without credentials introduces itself: it signs a phrase with its own key and gets a
token.

The original's command line does this before its first request. Where users are configured no method is offered, and the
guard decides.
"""

import asyncio
import base64
from functools import cache

import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from bacalhau.api.access.signature import client_id_of, is_signed, read_public_key
from bacalhau.api.http.answer import JSON, go_json
from bacalhau.api.http.errors import refused
from bacalhau.api.http.own_node import own_node
from bacalhau.api.http.request import Ask, named, read_body, server_config
from bacalhau.config.access import is_guarded
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import NotFound
from bacalhau.lib.wire import decode
from bacalhau.models.wire.introduction import (
    PHRASE,
    Authentication,
    IntroduceRequest,
    IntroduceResponse,
    ListMethodsResponse,
    Requirement,
    Signed,
)

TOKEN_SECONDS = 365 * 86_400  # clients keep their token; nothing here asks for a fresh one
READ, WRITE, DOWNLOAD, CANCEL = 1, 2, 4, 8


@get("/auth")
async def list_methods(request: Ask) -> ListMethodsResponse:
    """List the ways in which a client can introduce itself, by the method's name."""
    return ListMethodsResponse(methods=_methods(request))


@get("/auth/{name:str}")
async def get_method(request: Ask, name: FromPath[str]) -> Requirement:
    """Tell what one method asks of the client."""
    return _method(request, named(name))


@post("/auth/{name:str}", status_code=200, body=IntroduceRequest)
async def introduce(request: Ask, name: FromPath[str]) -> Response[bytes]:
    """The token of the client whose key signed the phrase; 401 with the reason otherwise."""
    _method(request, named(name))
    body, _ = await read_body(request, IntroduceRequest)
    signed = _signed(body.method_data)
    node_id = own_node(request).node_id
    try:
        key = read_public_key(signed.public_key)
        reason = (
            ""
            if is_signed(key, signed.phrase_signature, node_id.encode())
            else "the signature over the phrase is not by this key"
        )
    except ValueError as e:
        reason = f"public key or signature: {e}"
    if reason:
        return _answer(401, Authentication(success=False, reason=reason))
    return _answer(200, Authentication(success=True, token=await asyncio.to_thread(_token, node_id, client_id_of(key))))


def _answer(status: int, authentication: Authentication) -> Response[bytes]:
    return Response(go_json(IntroduceResponse(authentication=authentication)), status_code=status, media_type=JSON)


def _methods(request: Ask) -> dict[str, Requirement]:
    phrase = base64.b64encode(own_node(request).node_id.encode()).decode()
    auth = server_config(request).api.auth
    return {} if is_guarded(auth) else {name.lower(): Requirement(params={PHRASE: phrase}) for name in auth.methods}


def _method(request: Ask, name: str) -> Requirement:
    offered = _methods(request)
    if name.lower() not in offered:
        known = ", ".join(sorted(offered)) or "none: send a user's name and password, or an API key"
        raise NotFound(f"no authentication method is called {name}", hint=f"offered: {known}", component="APIServer")
    return offered[name.lower()]


def _signed(text: str) -> Signed:
    try:
        return decode(base64.b64decode(text, validate=True), Signed)
    except (ValueError, msgspec.DecodeError) as e:
        raise refused(f"MethodData must be the base64 of a JSON object with PhraseSignature and PublicKey: {e}") from e


@cache
def _signing_key() -> RSAKey:
    """Return the key with which this process signs tokens. Since everybody is let in, a token says who somebody is and
    is not checked.
    """
    return RSAKey.generate_key(2048)


def _token(node_id: str, client_id: str) -> str:
    now = now_ns() // 10**9
    rights = {"*": READ | DOWNLOAD, client_id: READ | WRITE | DOWNLOAD | CANCEL}
    claims = {"iss": node_id, "sub": client_id, "aud": [node_id], "iat": now, "exp": now + TOKEN_SECONDS, "ns": rights}
    return jwt.encode({"alg": "RS256"}, claims, _signing_key())


AUTH_ROUTES: list[ControllerRouterHandler] = [list_methods, get_method, introduce]
