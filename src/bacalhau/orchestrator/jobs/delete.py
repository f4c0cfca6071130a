"""Deleting a job: its records, output and specification, and what it published to the orchestrator's content store."""

import logging
from dataclasses import dataclass, field

from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.lib.units import show_bytes
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.wire.api import DeleteJobResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.published import walk_executions
from bacalhau.ports.content import Freed

ALL_VERSIONS = -1
MOST_READERS = 1000
log = logging.getLogger(__name__)


@dataclass
class _Made:
    """The results of a job: `content` are CIDs, `elsewhere` publishers that keep theirs, `ended` the last end (ns)."""

    content: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    ended: int = 0
    is_live: bool = False

    def add(self, execution: Execution) -> None:
        result = execution.published_result
        if cid := (result.params or {}).get("CID") if result.kind == "ipfs" else None:
            self.content.add(str(cid))
        elif result.kind:
            self.elsewhere.add(result.kind)
        self.ended = max(self.ended, execution.modify_time)
        self.is_live = self.is_live or execution.is_live


async def delete_job(orch: Orchestrator, job_id: str, namespace: str) -> DeleteJobResponse:
    """Delete a job that has ended. Raises NotFound, and Conflict for one that has not.

    Nor is one deleted whose result a job reads that has not ended. Its content goes first: a job whose deletion was cut
    short is still listed, and can be deleted again. Content that other jobs published too stays, as do results in S3
    and on nodes. Nodes remove the outputs that they keep because they were not published.
    """
    job = await orch.store.find_job(job_id, namespace)
    made = _Made()
    async for execution in walk_executions(orch, job.id, ALL_VERSIONS):
        made.add(execution)
    if not job.is_done or made.is_live:
        state = job.state.state_type if not job.is_done else "being stopped on its node"
        raise Conflict(f"job {job.id} is {state}: only a job that has ended can be deleted", hint="stop it first")
    await _refuse_while_read(orch, job)
    freed = await _drop_content(orch, job.id, made)
    await orch.forgetting.forget_jobs([job.id])
    log.info("job %s (%s) was deleted, with %s of content", job.id, job.name, show_bytes(freed.bytes))
    return DeleteJobResponse(job_id=job.id, freed_bytes=freed.bytes, kept_results=tuple(sorted(made.elsewhere)))


async def _refuse_while_read(orch: Orchestrator, job: Job) -> None:
    """Raise Conflict where a job that has not ended takes a result of this one."""
    for reader in await orch.store.list_readers(job.id, MOST_READERS):
        try:
            found = await orch.store.find_job(reader.job_id)
        except NotFound:
            continue
        if not found.is_done and found.version == reader.job_version:
            said = f"job {job.id} is read by job {found.id}, which is {found.state.state_type}"
            raise Conflict(said, hint="wait for that one, or stop it first")


async def _drop_content(orch: Orchestrator, job_id: str, made: _Made) -> Freed:
    """Remove the job's own content. What was put or asked after since its last end belongs to others, too."""
    if not made.content:
        return Freed(0, 0)
    kept = await orch.store.list_published_content(job_id)
    return await orch.content.drop(sorted(made.content), kept, made.ended)
