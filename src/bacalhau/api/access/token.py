"""Tokens of an identity provider, checked with the keys it publishes."""

import asyncio
import time
from typing import Any

import httpx
from joserfc import errors, jwt
from joserfc.jwk import KeySet

from bacalhau.border.bodies import SMALL, BodyTooLong, read_body
from bacalhau.config.access import Oauth2
from bacalhau.lib.base64url import read_base64url
from bacalhau.lib.errors import Unauthorized, Unavailable
from bacalhau.lib.wire import decode

_FRESH_SECONDS = 600.0  # how long published keys are believed
_AGAIN_SECONDS = 10.0  # how soon they are asked for again because of a key nobody knows
_FETCH_SECONDS = 10.0


class TokenReader:
    def __init__(self, provider: Oauth2) -> None:
        self._provider = provider
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._failure: tuple[float, str] | None = None
        self._fetching = asyncio.Lock()
        wanted: dict[str, Any] = {"iss": {"essential": True, "value": provider.issuer}, "exp": {"essential": True}}
        if provider.audience:
            wanted["aud"] = {"essential": True, "value": provider.audience}
        self._claims = jwt.JWTClaimsRegistry(leeway=30, **wanted)

    async def read(self, token: str) -> tuple[str, frozenset[str]]:
        """The bearer's name and what it may do, from the claims `sub` and `permissions`. Raises Unauthorized."""
        try:
            _check_head(token)
            claims = await self._decoded(token)
            self._claims.validate(claims)
        except (errors.JoseError, ValueError) as e:
            raise Unauthorized(f"invalid token: {e}") from e
        granted = claims.get("permissions") or []
        actions = granted if isinstance(granted, list) else str(granted).split()
        return str(claims.get("sub", "")), frozenset(str(action).lower() for action in actions)

    async def _decoded(self, token: str) -> dict[str, Any]:
        keys = await self._published(_FRESH_SECONDS)
        try:
            return jwt.decode(token, keys, algorithms=["RS256"]).claims
        except (errors.InvalidKeyIdError, errors.BadSignatureError):
            # The provider may have changed its keys since.
            return jwt.decode(token, await self._published(_AGAIN_SECONDS), algorithms=["RS256"]).claims

    async def _published(self, seconds: float) -> KeySet:
        async with self._fetching:
            if self._keys is None or time.monotonic() - self._fetched > seconds:
                # Who is away is not waited for by one request after the other.
                if self._failure and time.monotonic() - self._failure[0] < _AGAIN_SECONDS:
                    raise Unavailable(self._failure[1])
                self._keys = await self._fetch()
                self._fetched = time.monotonic()
            return self._keys

    async def _fetch(self) -> KeySet:
        try:
            async with (
                httpx.AsyncClient(timeout=_FETCH_SECONDS) as http,
                http.stream("GET", self._provider.jwks_uri) as answer,
            ):
                answer.raise_for_status()
                body = await read_body(answer.aiter_bytes(), SMALL, self._provider.jwks_uri)
                published: Any = decode(body, Any)
                return KeySet.import_key_set(published)
        except (BodyTooLong, httpx.HTTPError, errors.JoseError, ValueError, TypeError, KeyError) as e:
            text = (
                f"cannot read the keys of {self._provider.provider_id} at {self._provider.jwks_uri}:"
                f" {str(e) or type(e).__name__}"
            )
            self._failure = time.monotonic(), text
            raise Unavailable(text) from e


def _check_head(token: str) -> None:
    """Check that the head of a token holds texts alone: what reads it takes that for granted. Raises ValueError."""
    head = token.partition(".")[0]
    decode(read_base64url(head), dict[str, str | list[str]])
