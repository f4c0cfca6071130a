"""`logs` and `job logs`: what a job printed, and what it prints."""

import asyncio
from typing import NamedTuple

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.job.commands import JobLogs
from bacalhau.cli.job.flags import Follow
from bacalhau.cli.output.printing import LogPrinter, has_several


class LogQuery(NamedTuple):
    """The part of a job's output to print. `tail` leaves out all that was printed before, `tail_lines` all but that
    many lines of it; None and other empty values restrict nothing.
    """

    namespace: str = ""
    execution_id: str = ""
    all: bool = False
    tail: bool = False
    tail_lines: int | None = None


def logs(call: Call[Follow]) -> int:
    """Print each stream where it belongs, for the older `logs`."""
    return asyncio.run(_print(call, LogQuery(), apart=True))


def job_logs(call: Call[JobLogs]) -> int:
    """Print both streams on stdout, in the order they came, for today's `job logs`."""
    flags = call.flags
    query = LogQuery(flags.namespace, flags.execution_id, flags.all)
    part = {"tail": flags.tail} if isinstance(flags.tail, bool) else {"tail_lines": flags.tail}
    return asyncio.run(_print(call, query._replace(**part), apart=False))


async def _print(call: Call[Follow], query: LogQuery, *, apart: bool) -> int:
    async with connect(call.settings) as client:
        job = await client.get_job(call.args[0], namespace=query.namespace)
        is_wide = not query.execution_id and has_several(job)
        printer = LogPrinter(apart=apart, named=is_wide or query.all)
        try:
            async for piece in client.log_pieces(job.id, call.flags.follow, wide=is_wide, **query._asdict()):
                printer.print(piece)
        finally:
            printer.close()
    return 0
