"""`logs` and `job logs`: what a job printed, and what it prints."""

import asyncio
import sys

from bacalhau.cli.connection import connect
from bacalhau.cli.options import Call


def logs(call: Call) -> int:
    """The older `logs`: each stream where it belongs."""
    return asyncio.run(_logs(call, apart=True))


def job_logs(call: Call) -> int:
    """Today's `job logs`: both streams on stdout, in the order they came."""
    return asyncio.run(_logs(call, apart=False))


async def _logs(call: Call, *, apart: bool) -> int:
    flags = call.flags
    query = {name: flags[name] for name in ("execution_id", "tail", "namespace") if flags.get(name)}
    async with connect(call.settings) as client:
        async for stream, text in client.logs(call.args[0], flags["follow"], **query):
            out = sys.stderr if apart and stream == 2 else sys.stdout
            out.write(text)
            out.flush()
    return 0
