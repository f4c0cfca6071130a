"""`node cache list` and `prune`: the inputs that a node keeps for the next task."""

import asyncio

import click

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.say import say
from bacalhau.cli.node.commands import ListCache, PruneCache
from bacalhau.cli.output.render import say_more, show_document, show_items
from bacalhau.cli.output.table import Column
from bacalhau.lib.units import show_bytes
from bacalhau.models.wire.api import ListCacheResponse, PruneCacheResponse


def list_cache(call: Call[ListCache]) -> int:
    async def read() -> ListCacheResponse:
        async with connect(call.settings) as client:
            return await client.cached_inputs(limit=call.flags.limit, next_token=call.flags.next_token)

    page = asyncio.run(read())
    columns = [
        Column("name", lambda item: item.name),
        Column("size", lambda item: show_bytes(item.bytes)),
        Column("last used", lambda item: item.used[:19] + "Z"),
        Column("in use", lambda item: "yes" if item.pinned else "no"),
    ]
    show_items(call.flags, columns, page.items)
    say(f"{show_bytes(page.bytes)} of {show_bytes(page.limit)} are used in {page.path}", err=True)
    say_more(call, call.flags.output, page.next_token)
    return 0


def prune(call: Call[PruneCache]) -> int:
    flags = call.flags
    if not flags.all and flags.size is None and flags.older_than is None:
        raise click.UsageError("say what is to go: --all, --size SIZE or --older-than DURATION")
    if flags.all and (flags.size is not None or flags.older_than is not None):
        raise click.UsageError("--all is everything: leave --size and --older-than out")
    if flags.older_than is not None and flags.older_than < 1:
        raise click.UsageError("--older-than must be 1s or more; everything is --all")

    async def remove() -> PruneCacheResponse:
        async with connect(call.settings) as client:
            most = 0 if flags.all else flags.size
            return await client.prune_cache(most=most, unused_for=round(flags.older_than or 0))

    gone = asyncio.run(remove())
    if flags.output:
        show_document(flags, gone, "yaml")
    else:
        say(f"Removed {gone.removed} inputs, {show_bytes(gone.bytes)}; {show_bytes(gone.left)} are left")
    return 0
