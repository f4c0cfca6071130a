"""The published results of a job, one for each of its partitions, or for each node of a job that runs everywhere."""

from collections.abc import AsyncIterator

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.store import ExecutionPage, place_of

PAGE = 200
WITH_RESULTS = (ComputeStateType.COMPLETED, ComputeStateType.FAILED)


async def walk_executions(orch: Orchestrator, job_id: str, version: int) -> AsyncIterator[Execution]:
    """Read executions page by page, oldest first: those that were there from beginning to end, each once."""
    page = ExecutionPage(limit=PAGE)
    while found := await orch.store.list_executions(job_id, version, page):
        for execution in found:
            yield execution
        if len(found) < PAGE:
            break
        page = page._replace(after=place_of(found[-1], page.order_by))


async def list_published(orch: Orchestrator, job: Job) -> list[Execution]:
    """List the executions of a version that published a result, in partition order. One that failed counts where no
    other of its partition completed.
    """
    published = [
        e
        async for e in walk_executions(orch, job.id, job.version)
        if e.published_result.type and e.state in WITH_RESULTS
    ]
    completed = {_part(job, e) for e in published if e.state == ComputeStateType.COMPLETED}
    kept = [e for e in published if e.state == ComputeStateType.COMPLETED or _part(job, e) not in completed]
    return sorted(kept, key=lambda e: e.partition_index)


def _part(job: Job, execution: Execution) -> object:
    """Whose result it is: an ops job has one a node."""
    return execution.node_id if job.type in EVERYWHERE else execution.partition_index
