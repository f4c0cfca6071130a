"""`job describe`: everything about one job on one page, or as JSON or YAML."""

import asyncio
import sys
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing

from bacalhau.border.names import escaped
from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.report import BOLD, painted
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.commands import DescribeJob
from bacalhau.cli.job.lineage import describe_lineage
from bacalhau.cli.output.render import look_for, say_lines, show_document, stamp, when
from bacalhau.cli.output.table import Column, draw
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.wire.api import GetJobResponse

INTOTO = "intoto"
_EVENTS = (
    Column("Time", lambda h: stamp(h.time)),
    Column("Topic", lambda h: h.event.topic),
    Column("Event", lambda h: h.event.message, 90),
)


def describe(call: Call[DescribeJob]) -> int:
    return asyncio.run(_describe(call))


async def _describe(call: Call[DescribeJob]) -> int:
    if call.flags.output == INTOTO and (not call.flags.provenance or call.flags.lineage or call.flags.pretty):
        said = "--output intoto is one form of --provenance, a line for each execution"
        raise BadRequest(said, hint="write --provenance --output intoto, without --lineage and --pretty")
    if call.flags.lineage:
        return await describe_lineage(call)
    if call.flags.provenance:
        return await _describe_provenance(call)
    async with connect(call.settings) as client:
        answer = await client.describe(call.args[0], namespace=call.flags.namespace, version=call.flags.version)
    if call.flags.output:
        show_document(call.flags, answer, "yaml")
    else:
        _print(answer)
    return 0


async def _describe_provenance(call: Call[DescribeJob]) -> int:
    """Show what the executions of a job read and published, as a document or as in-toto statements."""
    query = {"namespace": call.flags.namespace, "job_version": call.flags.version}
    async with connect(call.settings) as client:
        if call.flags.output == INTOTO:
            async with aclosing(client.statements(call.args[0], **query)) as pieces:
                await _say_pieces(pieces)
            return 0
        answer = await client.provenance(call.args[0], **query)
    show_document(call.flags, answer, "yaml")
    return 0


async def _say_pieces(pieces: AsyncIterator[bytes]) -> None:
    """Print JSON text as it comes, also where a character is cut in two."""
    decoder = getincrementaldecoder("utf-8")("replace")
    async for piece in pieces:
        say(escaped(decoder.decode(piece)), nl=False)


def _print(answer: GetJobResponse) -> None:
    executions = sorted(answer.executions.items if answer.executions else (), key=lambda e: e.create_time, reverse=True)
    history = answer.history.items if answer.history else ()
    _say_pairs(_facts(answer.job))
    if executions:
        _say_title("Summary")
        _say_pairs([(state.label, str(count)) for state, count in sorted(Counter(e.state for e in executions).items())])
    _say_history("Job History", [h for h in history if not h.execution_id])
    if executions:
        _say_title("Executions")
        say_lines(draw(_execution_columns(now_ns()), executions, look_for(sys.stdout)))
    for execution in executions:
        _say_history(
            f"Execution {short_id(execution.id)} History", [h for h in history if h.execution_id == execution.id]
        )
    _say_output([e for e in executions if e.run_output and (e.run_output.stdout or e.run_output.stderr)])


def _facts(job: Job) -> list[tuple[str, str]]:
    return [
        ("ID", job.id),
        ("Name", job.name),
        ("Namespace", job.namespace),
        ("Type", job.type),
        ("State", job.state.state_type.value),
        *([("Message", job.state.message)] if job.state.message else []),
        *([("Count", _count(job))] if job.type in ("batch", "service") else []),
        ("Created Time", when(job.create_time)),
        ("Modified Time", when(job.modify_time)),
        ("Version", str(job.version)),
    ]


def _count(job: Job) -> str:
    """Write the count, also of a job whose inputs decide it."""
    if not job.auto_count:
        return str(job.wanted)
    return f"auto: {job.wanted}" if job.inventory else "auto: known when its inputs have been listed"


def _execution_columns(now: int) -> Sequence[Column]:
    return (
        Column("ID", lambda e: short_id(e.id)),
        Column("Node ID", lambda e: short_id(e.node_id)),
        Column("State", lambda e: e.state.label),
        Column("Desired", lambda e: e.desired_state.state_type.name.capitalize()),
        Column("Rev.", lambda e: str(e.revision)),
        Column("Created", lambda e: age(now - e.create_time)),
        Column("Modified", lambda e: age(now - e.modify_time)),
        Column("Comment", lambda e: e.compute_state.message),
    )


def age(ns: int) -> str:
    """`12s ago`, `3m5s ago`, `2h10m ago`, `1d3h ago`."""
    seconds = max(0, ns // 1_000_000_000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d{hours % 24}h ago"
    if hours:
        return f"{hours}h{minutes % 60}m ago"
    return f"{minutes}m{seconds % 60}s ago" if minutes else f"{seconds}s ago"


def _say_title(text: str) -> None:
    say("\n" + painted(text, BOLD, sys.stdout))


def _say_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    width = max(len(key) for key, _ in pairs)
    say_lines([f"{key:{width}} = {value}" for key, value in pairs])


def _say_history(title: str, items: Iterable[JobHistory]) -> None:
    rows = list(items)
    if rows:
        _say_title(title)
        say_lines(draw(_EVENTS, rows, look_for(sys.stdout)))


def _say_output(executions: Sequence[Execution]) -> None:
    if executions:
        _say_title("Standard Output")
    for execution in executions:
        if len(executions) > 1:
            say(f"Execution {short_id(execution.id)}:")
        output = execution.run_output
        if output is None:
            continue
        for text, is_cut in ((output.stdout, output.stdout_truncated), (output.stderr, output.stderr_truncated)):
            if text:
                say(text.removesuffix("\n") + ("\n…\nOutput truncated" if is_cut else ""))
