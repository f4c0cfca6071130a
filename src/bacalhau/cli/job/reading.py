"""`logs` and `job logs`: what a job printed, and what it prints."""

import asyncio
from typing import Any

from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.options import Call
from bacalhau.cli.output.printing import LogPrinter, has_several


def logs(call: Call) -> int:
    """The older `logs`: each stream where it belongs."""
    return asyncio.run(_logs(call, apart=True))


def job_logs(call: Call) -> int:
    """Today's `job logs`: both streams on stdout, in the order they came."""
    return asyncio.run(_logs(call, apart=False))


async def _logs(call: Call, *, apart: bool) -> int:
    flags = call.flags
    query: dict[str, Any] = {
        name: flags[name] for name in ("execution_id", "namespace", "all") if flags.get(name)
    } | _tail(flags.get("tail", False))
    async with connect(call.settings) as client:
        job = await client.get_job(call.args[0], namespace=flags.get("namespace") or "")
        is_wide = not flags.get("execution_id") and has_several(job)
        printer = LogPrinter(apart=apart, named=is_wide or bool(flags.get("all")))
        try:
            async for piece in client.log_pieces(job.id, flags["follow"], wide=is_wide, **query):
                printer.print(piece)
        finally:
            printer.close()
    return 0


def _tail(value: bool | int) -> dict[str, Any]:
    return {"tail": value} if isinstance(value, bool) else {"tail_lines": value}
