"""`job explain`: what would run where, what it would read, and why not on other nodes, page by page."""

import asyncio
import os
import sys
from typing import TextIO

from msgspec.structs import replace

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.report import BOLD, painted, say_warning
from bacalhau.cli.job.commands import Explain
from bacalhau.cli.job.inputs import SHARE_COLUMNS, input_columns, list_shares, tell_inputs, title_shares
from bacalhau.cli.output.render import id_column, look_for, say_lines, say_more, show_document
from bacalhau.cli.output.table import Column, draw
from bacalhau.cli.spec.job_file import read_template_file
from bacalhau.client.client import AsyncClient
from bacalhau.lib.errors import NotFound
from bacalhau.lib.units import show_bytes
from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.wire.api import ExplainJobResponse, NodeAnswer, NodeCounts

LARGEST_PAGE = 1000  # nodes that a server lists at once
_PLACES = (
    Column("partition", lambda place: str(place.partition_index)),
    id_column("node id", lambda place: place.node_id),
    id_column("execution", lambda place: place.execution_id or "would be new"),
)
_NODES = (
    id_column("node id", lambda node: node.node_id),
    Column("takes it", lambda node: _takes(node)),
    Column("reason", lambda node: node.reason, 90),
)
_NEAR_INPUTS = (
    Column("has inputs", lambda node: ", ".join(node.holds), 40),
    Column("bytes held", lambda node: show_bytes(node.bytes_held) if node.bytes_held else ""),
    Column("in region", lambda node: "yes" if node.is_near else ""),
)


def explain(call: Call[Explain]) -> int:
    """A file that is there is a new job; anything else is the id or name of one."""
    answer = asyncio.run(_ask(call))
    for warning in answer.warnings or ():
        say_warning(warning)
    if call.flags.output:
        show_document(call.flags, answer, "yaml")
    else:
        say_lines(explanation(answer, sys.stdout, wide=call.flags.wide))
    say_more(call, call.flags.output, answer.next_token)
    return 0


async def _ask(call: Call[Explain]) -> ExplainJobResponse:
    """Ask for one page, or for all pages as one answer where the limit is 0 or more than a page holds."""
    is_new = not call.args or os.path.isfile(call.args[0])
    job = read_template_file(call) if is_new else None
    async with connect(call.settings) as client:
        answer = await _ask_page(call, client, job, call.flags.limit, call.flags.next_token)
        while answer.next_token and (left := _count_left(call.flags.limit, len(answer.nodes))):
            more = await _ask_page(call, client, job, left, answer.next_token)
            answer = replace(answer, nodes=answer.nodes + more.nodes, next_token=more.next_token)
        return answer


def _count_left(limit: int, shown: int) -> int:
    return max(0, limit - shown) if limit else LARGEST_PAGE


async def _ask_page(
    call: Call[Explain], client: AsyncClient, job: Job | None, limit: int, token: str
) -> ExplainJobResponse:
    most = min(limit or LARGEST_PAGE, LARGEST_PAGE)
    if job:
        return await client.explain(job, limit=most, next_token=token)
    try:
        return await client.explain_stored(call.args[0], namespace=call.flags.namespace, limit=most, next_token=token)
    except NotFound as e:
        raise NotFound(e.message, hint=e.hint or "there is no job file of that name here, either") from e


def explanation(answer: ExplainJobResponse, stream: TextIO, *, wide: bool = False) -> list[str]:
    """Write an explanation for people, as lines of `stream`."""
    pairs = [
        ("Job", f"{answer.job_id}, version {answer.job_version}" if answer.job_id else "not submitted"),
        ("Next State", answer.state),
        ("Reason", answer.message),
        ("Hint", answer.hint),
        ("Queue Position", f"{answer.queue_position} ({answer.turn})" if answer.queue_position else ""),
        ("Needs", _needs(answer.needs)),
        ("Nodes", _counts(answer.node_counts)),
        *tell_inputs(answer),
    ]
    shown = [(key, value) for key, value in pairs if value]
    width = max(len(key) for key, _ in shown)
    lines = [f"{key:{width}} = {value}" for key, value in shown]
    asked = f"Inputs, as node {answer.node_id} found them" if answer.node_id else "Inputs"
    look = look_for(stream, wide=wide)
    nodes = (*_NODES, *(column for column in _NEAR_INPUTS if any(map(column.cell, answer.nodes))))
    for title, columns, items in (
        (_placement(answer), _PLACES, answer.places),
        ("Nodes", nodes, answer.nodes),
        (asked, input_columns(answer.inputs), answer.inputs),
        (title_shares(answer.shares), SHARE_COLUMNS, list_shares(answer.shares)),
    ):
        if items:
            lines += ["", painted(title, BOLD, stream), *draw(columns, items, look)]
    return lines


def _placement(answer: ExplainJobResponse) -> str:
    shown, count = len(answer.places), answer.place_count
    return f"Placement (the first {shown} of {count})" if shown < count else "Placement"


def _counts(counts: NodeCounts) -> str:
    parts = ((counts.fits, "take it now"), (counts.not_now, "not now"), (counts.never, "never"))
    return ", ".join(f"{number} {answer}" for number, answer in parts if number)


def _takes(node: NodeAnswer) -> str:
    return "yes" if node.fits else "never" if node.never else "not now"


def _needs(need: Resources) -> str:
    amounts = [
        f"CPU {need.cpu:g}",
        f"memory {show_bytes(need.memory)}",
        f"disk {show_bytes(need.disk)}",
        *([f"GPU {need.gpu}"] if need.gpu else []),
    ]
    return ", ".join(amounts)
