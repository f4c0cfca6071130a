"""`job delete`: remove a job that has ended, and tell what that freed."""

import asyncio

from bacalhau.cli.frame.command import Call
from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.say import say
from bacalhau.cli.job.commands import JobDelete
from bacalhau.lib.units import show_bytes
from bacalhau.models.wire.api import DeleteJobResponse


def job_delete(call: Call[JobDelete]) -> int:
    async def delete() -> DeleteJobResponse:
        async with connect(call.settings) as client:
            return await client.delete(call.args[0], namespace=call.flags.namespace)

    deleted = asyncio.run(delete())
    if not call.flags.quiet:
        say(f"Job {deleted.job_id} was deleted; {show_bytes(deleted.freed_bytes)} of content were freed.")
        if deleted.kept_results:
            say(f"Its results of publisher {' and '.join(deleted.kept_results)} stay where they are.")
    return 0
