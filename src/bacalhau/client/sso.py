"""Signing in with the device flow of OAuth 2.0 (RFC 8628): a code is shown, the person enters it in a browser, and a
token comes back.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import msgspec

from bacalhau.border.bodies import SMALL, read_body
from bacalhau.lib.errors import BadRequest, TimedOut, Unauthorized, Unavailable
from bacalhau.lib.wire import decode
from bacalhau.models.wire.api import SignIn

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_PAUSE, _SLOWER, _EXPIRES = 5, 5, 600


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's first answer."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str = ""
    expires_in: int = _EXPIRES
    interval: int = 0


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str = ""
    error: str = ""
    error_description: str = ""


async def sign_in(config: SignIn, show: Callable[[Code], None]) -> str:
    """The access token.

    Raises BadRequest where the server offers no such flow, Unauthorized when it was refused, TimedOut, Unavailable.
    """
    if not (config.device_authorization_endpoint and config.token_endpoint and config.device_client_id):
        raise BadRequest(
            "the server does not support SSO login",
            hint="use BACALHAU_API_KEY, or BACALHAU_API_USERNAME and BACALHAU_API_PASSWORD",
        )
    async with httpx.AsyncClient(timeout=30) as http:
        asked = {
            "client_id": config.device_client_id,
            "scope": " ".join(config.scopes or ()),
            "audience": config.audience,
        }
        answer = await _post(
            http, config.device_authorization_endpoint, {key: value for key, value in asked.items() if value}
        )
        if answer.status >= 400:
            said = answer.body[:200].decode(errors="replace")
            raise Unauthorized(f"{answer.url} answered {answer.status}: {said}")
        code: Code = _decoded(answer, Code)
        show(code)
        pause = float(config.polling_interval or code.interval or _PAUSE)
        give_up = time.monotonic() + code.expires_in
        while time.monotonic() < give_up:
            await asyncio.sleep(pause)
            found: _Answer = _decoded(
                await _post(
                    http,
                    config.token_endpoint,
                    {"client_id": config.device_client_id, "device_code": code.device_code, "grant_type": _GRANT},
                ),
                _Answer,
            )
            if found.access_token:
                return found.access_token
            pause += _slower(found)
    raise TimedOut("nobody entered the code in time", hint="run the command again")


def _slower(answer: _Answer) -> float:
    """Return the seconds to add to the pause. Raises Unauthorized when the sign-in cannot succeed any more."""
    if answer.error not in ("authorization_pending", "slow_down"):
        raise Unauthorized(
            f"signing in failed: {answer.error_description or answer.error or 'the provider gave no token'}",
            hint="run the command again",
        )
    return _SLOWER if answer.error == "slow_down" else 0


class _Said(NamedTuple):
    """An answer of the identity provider."""

    url: str
    status: int
    body: bytes


async def _post(http: httpx.AsyncClient, url: str, form: dict[str, str]) -> _Said:
    try:
        async with http.stream("POST", url, data=form, headers={"Accept": "application/json"}) as answer:
            return _Said(url, answer.status_code, await read_body(answer.aiter_bytes(), SMALL, url))
    except (httpx.HTTPError, httpx.InvalidURL) as e:
        raise Unavailable(f"cannot reach the identity provider at {url}: {e or type(e).__name__}") from e


def _decoded(answer: _Said, kind: type[Any]) -> Any:
    try:
        return decode(answer.body, kind)
    except msgspec.DecodeError as e:
        raise Unavailable(f"{answer.url} gave an answer that is not of the device flow: {e}") from e
