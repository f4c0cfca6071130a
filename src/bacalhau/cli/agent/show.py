"""`agent alive|node|version` and `version`: what the server says of itself, and what this client is."""

import asyncio
from typing import Any

from bacalhau.cli.agent.commands import ServerConfig, Versions
from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.report import say_warning
from bacalhau.cli.frame.say import say
from bacalhau.cli.output.flags import Document, Table
from bacalhau.cli.output.render import show_document, show_items
from bacalhau.cli.output.table import Column
from bacalhau.client.client import AsyncClient
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.units import show_bytes
from bacalhau.models.node.node import NodeInfo
from bacalhau.models.node.version import BuildVersion, this_version
from bacalhau.models.wire.api import AliveResponse, StorageArea

_SECONDS = 3  # an absent server must not hold up the client's own version


def alive(call: Call[Document]) -> int:
    async def read() -> AliveResponse:
        async with connect(call.settings) as client:
            return await client.alive()

    show_document(call.flags, asyncio.run(read()), "yaml")
    return 0


def own_node(call: Call[Document]) -> int:
    async def read() -> NodeInfo:
        async with connect(call.settings) as client:
            return await client.own_node()

    show_document(call.flags, asyncio.run(read()), "yaml")
    return 0


def server_config(call: Call[ServerConfig]) -> int:
    async def read() -> dict[str, Any]:
        async with connect(call.settings) as client:
            return await client.config()

    show_document(call.flags, asyncio.run(read()), "yaml")
    return 0


def show_storage(call: Call[Table]) -> int:
    async def read() -> tuple[StorageArea, ...]:
        async with connect(call.settings) as client:
            return await client.storage()

    columns = [
        Column("what", lambda area: area.name),
        Column("used", lambda area: show_bytes(area.bytes)),
        Column("limit", lambda area: show_bytes(area.limit) if area.limit else "-"),
        Column("files", lambda area: str(area.files)),
        Column("where", lambda area: area.path),
    ]
    show_items(call.flags, columns, list(asyncio.run(read())))
    return 0


def server_version(call: Call[Document]) -> int:
    found = asyncio.run(_ask(call))
    if call.flags.output:
        show_document(call.flags, found, "yaml")
    else:
        say(f"Bacalhau {found.git_version}\nBuildDate {found.build_date}\nGitCommit {found.git_commit}")
    return 0


def show_versions(call: Call[Versions]) -> int:
    """A server that does not answer is a warning: the client's version is known without it."""
    found: dict[str, Any] = {"clientVersion": this_version()}
    if not call.flags.client:
        try:
            found["serverVersion"] = asyncio.run(_ask(call, _SECONDS))
        except Unavailable as e:
            say_warning(e.message)
    if call.flags.output in ("json", "yaml"):
        show_document(call.flags, found, "json")
    else:
        columns = [
            _column(name, key)
            for name, key in (("client", "clientVersion"), ("server", "serverVersion"))
            if key in found
        ]
        show_items(call.flags, columns, [found])
    return 0


def _column(name: str, key: str) -> Column:
    return Column(name, lambda row: row[key].git_version)


async def _ask(call: Call[Document], seconds: float | None = None) -> BuildVersion:
    async with connect(call.settings) as client:
        return await _within(client, seconds)


async def _within(client: AsyncClient, seconds: float | None) -> BuildVersion:
    try:
        async with asyncio.timeout(seconds):
            return await client.version()
    except TimeoutError as e:
        raise Unavailable(f"{client.endpoint.url} did not answer within {seconds} s") from e
