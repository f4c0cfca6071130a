"""`auth info` and `auth hash-password`."""

import asyncio
import os
import sys
from importlib import import_module

import click

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.flags import Flags
from bacalhau.cli.frame.say import say
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BacalhauError, BadRequest, Unavailable
from bacalhau.models.wire.api import AuthConfigResponse

_LONGEST = 72  # bytes that bcrypt looks at
_VARIABLES = (
    ("API Key", "BACALHAU_API_KEY"),
    ("Username", "BACALHAU_API_USERNAME"),
    ("Password", "BACALHAU_API_PASSWORD"),
)
_NOTE = """
Note: Environment variables take precedence over other authentication mechanisms including SSO.
To use SSO login, please unset Auth related environment variables first.
"""


def info(call: Call[Flags]) -> int:
    async def read() -> tuple[str, AuthConfigResponse | None]:
        async with connect(call.settings) as client:
            try:
                return client.endpoint.url, await client.sign_in()
            except Unavailable:
                raise
            except BacalhauError:
                return client.endpoint.url, None

    url, found = asyncio.run(read())
    say(f"\nTarget environment: {without_credentials(url)}\n\nEnvironment Variables:")
    for name, variable in _VARIABLES:
        say(f"{name}: {'Set' if os.environ.get(variable) else 'Not Set'}")
    say("")
    if found is None:
        say("Server does not support Basic Auth, API Keys, or SSO logins\n")
        return 0
    say("Node SSO Authentication:")
    if found.config.provider_id:
        say(
            f"Provider Name: {found.config.provider_name}\nProvider ID: {found.config.provider_id}\nVersion:"
            f" {found.version}"
        )
    else:
        say("Server does not support SSO login")
    say(_NOTE)
    return 0


def hash_password(call: Call[Flags]) -> int:
    password = (
        click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\r\n")
    )
    if not password:
        raise BadRequest("password cannot be empty")
    if len(password.encode()) > _LONGEST:
        raise BadRequest(
            f"password exceeds maximum length of {_LONGEST} bytes", hint="bcrypt would not look at what is beyond them"
        )
    bcrypt = import_module("bcrypt")
    say(bcrypt.hashpw(password.encode(), bcrypt.gensalt(10, prefix=b"2a")).decode())
    return 0
