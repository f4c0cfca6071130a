"""`auth sso login`, `token` and `logout`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from bacalhau.cli.auth.commands import Logout, Token
from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.say import say
from bacalhau.cli.output.render import json_text
from bacalhau.client.endpoint import client_config, resolve_endpoint
from bacalhau.client.sso import Code, sign_in
from bacalhau.client.tokens import get_token, put_token
from bacalhau.lib.base64url import read_base64url
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BadRequest, NotFound
from bacalhau.lib.wire import decode


def login(call: Call[Flags]) -> int:
    url, token = asyncio.run(_login(call))
    put_token(_home(call), url, token)
    say(f"Successfully authenticated with {without_credentials(url)}")
    return 0


async def _login(call: Call[Flags]) -> tuple[str, str]:
    async with connect(call.settings) as client:
        offered = await client.sign_in()
        return client.endpoint.url, await sign_in(offered.config, _show)


def _show(code: Code) -> None:
    say(
        f"To sign in, open this page in a browser:\n\t{code.verification_uri_complete or code.verification_uri}\nand"
        f" enter the code: {code.user_code}\n",
        err=True,
    )
    say("Waiting for you to finish (Enter Ctrl+C to give up) ...", err=True)


def token(call: Call[Token]) -> int:
    found = _token(call)
    say(json_text(_decoded(found), pretty=True) if call.flags.decode else found)
    return 0


def logout(call: Call[Logout]) -> int:
    url = resolve_endpoint(overrides=call.settings).url
    _token(call)
    if (
        not call.flags.force
        and sys.stdin.isatty()
        and not click.confirm(f"Forget the token of {without_credentials(url)}?", err=True)
    ):
        return 0
    put_token(_home(call), url, "")
    say(f"Successfully logged out of {without_credentials(url)}")
    return 0


def _home(call: Call[Flags]) -> Path:
    return Path(client_config(call.settings).data_dir)


def _token(call: Call[Flags]) -> str:
    url = resolve_endpoint(overrides=call.settings).url
    found = get_token(_home(call), url)
    if not found:
        raise NotFound(f"not signed in at {url}", hint="`bacalhau auth sso login` signs in")
    return found


def _decoded(token: str) -> dict[str, object]:
    """The first two parts of a JWT. Nothing is checked: that is the server's business."""
    try:
        head, claims = (decode(read_base64url(part), Any) for part in token.split(".")[:2])
    except ValueError as e:
        raise BadRequest("the token is no JWT, it cannot be decoded") from e
    return {"header": head, "claims": claims}
