"""The body of a message as it travels: a start gets the job of its execution, which the stored row does not repeat.

A job that would make the message large is named instead, by the blocks under which the content store keeps it. Nodes of
other makes cannot fetch these; they get the job itself, as far as their message server takes it.
"""

from msgspec.structs import replace

from bacalhau.lib.wire import decode, encode, go_escaped
from bacalhau.models.job.job import Job
from bacalhau.models.wire.messages import AskForBid
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.store import PendingMessage

INLINE = 256_000  # bytes of a start as sent; larger ones name their job


async def complete_body(orch: Orchestrator, message: PendingMessage) -> bytes:
    """Encode a message as its node gets it. Raises NotFound when the job is not known any more, and Unavailable."""
    if message.type != "AskForBid":
        return message.body
    start = decode(message.body, AskForBid)
    execution = start.execution
    job = execution.job or await _find_job(orch, execution.job_id, execution.job_version)
    node = orch.cluster.get(message.node_id)
    can_fetch = node is not None and node.native
    if not (can_fetch and orch.specs.knows(job)):
        body = encode(replace(start, execution=replace(execution, job=job)))
        if not can_fetch or len(go_escaped(body)) <= INLINE:
            return body
    return encode(replace(start, execution=replace(execution, job=None), job_blocks=await orch.specs.keep(job)))


async def _find_job(orch: Orchestrator, job_id: str, version: int) -> Job:
    known = orch.views.job(job_id, version)
    return known or await orch.store.get_job_version(job_id, version)
