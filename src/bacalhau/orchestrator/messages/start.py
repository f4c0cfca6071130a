"""The body of a message as it travels: a start gets the job of its execution, which the stored row does not repeat."""

from msgspec.structs import replace

from bacalhau.lib.wire import decode, encode
from bacalhau.models.job.job import Job
from bacalhau.models.wire.messages import AskForBid
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.store import PendingMessage


async def complete_body(orch: Orchestrator, message: PendingMessage) -> bytes:
    """Encode a message as its node gets it. Raises NotFound when the job is not known any more, and Unavailable."""
    if message.type != "AskForBid":
        return message.body
    start = decode(message.body, AskForBid)
    execution = start.execution
    if execution.job is not None:
        return message.body
    job = await _find_job(orch, execution.job_id, execution.job_version)
    return encode(replace(start, execution=replace(execution, job=job)))


async def _find_job(orch: Orchestrator, job_id: str, version: int) -> Job:
    known = orch.views.job(job_id, version)
    return known or await orch.store.get_job_version(job_id, version)
