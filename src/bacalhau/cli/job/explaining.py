"""`job explain`: what would run where, what it would read, and for every node why not. Nothing is submitted."""

import asyncio
import os
import sys
from typing import TextIO

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.report import BOLD, painted, say_warning
from bacalhau.cli.job.commands import Explain
from bacalhau.cli.output.render import id_column, look_for, say_lines, show_document
from bacalhau.cli.output.table import Column, draw
from bacalhau.cli.spec.job_file import read_template_file
from bacalhau.lib.errors import NotFound
from bacalhau.lib.units import show_bytes
from bacalhau.models.job.resources import Resources
from bacalhau.models.wire.api import ExplainJobResponse, NodeAnswer

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
_HOLDS = Column("has inputs", lambda node: ", ".join(node.holds), 40)
_INPUTS = (
    Column("target", lambda found: found.target),
    Column("type", lambda found: found.type),
    Column("objects", lambda found: "" if found.error else str(found.objects)),
    Column("size", lambda found: "" if found.error else show_bytes(found.bytes)),
    Column("error", lambda found: found.error, 90),
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
    return 0


async def _ask(call: Call[Explain]) -> ExplainJobResponse:
    is_new = not call.args or os.path.isfile(call.args[0])
    job = read_template_file(call) if is_new else None
    async with connect(call.settings) as client:
        if job:
            return await client.explain(job)
        try:
            return await client.explain_stored(call.args[0], namespace=call.flags.namespace)
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
    ]
    shown = [(key, value) for key, value in pairs if value]
    width = max(len(key) for key, _ in shown)
    lines = [f"{key:{width}} = {value}" for key, value in shown]
    asked = f"Inputs, as node {answer.node_id} found them" if answer.node_id else "Inputs"
    look = look_for(stream, wide=wide)
    nodes = (*_NODES, _HOLDS) if any(node.holds for node in answer.nodes) else _NODES
    for title, columns, items in (
        ("Placement", _PLACES, answer.places),
        ("Nodes", nodes, answer.nodes),
        (asked, _INPUTS, answer.inputs),
    ):
        if items:
            lines += ["", painted(title, BOLD, stream), *draw(columns, items, look)]
    return lines


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
