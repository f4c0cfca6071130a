"""Fetching a job that is too large for a message, from the orchestrator's content store."""

from functools import partial

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.remote.content import RemoteContent
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.wire import decode
from bacalhau.models.job.job import Job

AT_ONCE = 8  # blocks


async def fetch_job(node: ComputeNode, names: tuple[str, ...]) -> Job:
    """Fetch a job by the names of its blocks, once for all its parts. Raises NotFound and Unavailable."""
    async with node.fetched.lock:
        known = node.fetched.find(names)
        if known is not None:
            return known
        content = RemoteContent(node.bus)
        blocks = await gather_bounded(AT_ONCE, [partial(content.get, name) for name in names])
        body = b"".join(block.partition(b"\n")[2] for block in blocks)
        job = decode(body, Job)
        node.fetched.keep(names, job, len(body))
        return job
