"""What a job printed: from its record when that is complete, else from the node, while it runs too."""

from collections.abc import AsyncIterator

from bacalhau.lib.errors import BacalhauError, NotFound
from bacalhau.models.execution import ComputeStateType, Execution
from bacalhau.models.job import Job
from bacalhau.orchestrator.service import Orchestrator

LogChunk = tuple[int, str]
STDOUT, STDERR = 1, 2
_WITH_OUTPUT = (ComputeStateType.BID_ACCEPTED, ComputeStateType.RUNNING, ComputeStateType.PUBLISHING, ComputeStateType.COMPLETED, ComputeStateType.FAILED)


async def stream_logs(
    orch: Orchestrator, id_or_name: str, namespace: str = "", *, execution_id: str = "", tail: bool = False, follow: bool = False
) -> AsyncIterator[LogChunk]:
    """(1 stdout | 2 stderr, text). `follow` waits for the job to be placed; a job that failed before it ran raises its own error."""
    job = await orch.store.find_job(id_or_name, namespace)
    execution = await _wait_for_execution(orch, job, execution_id, follow)
    if not execution.is_live and _is_complete(execution):
        for chunk in _recorded(execution):
            yield chunk
        return
    try:
        async for chunk in orch.bus.stream_logs(execution.node_id, execution.id, tail=tail, follow=follow):
            yield chunk
    except BacalhauError:
        fresh, _ = await orch.store.load_execution(execution.id)
        if fresh.is_live or not _recorded(fresh):
            raise
        for chunk in _recorded(fresh):
            yield chunk


async def _wait_for_execution(orch: Orchestrator, job: Job, execution_id: str, follow: bool) -> Execution:
    with orch.board.watch(job.id) as watch:
        while True:
            watch.clear()
            fresh = await orch.store.find_job(job.id)
            found = _choose(await orch.store.list_executions(job.id, -1), execution_id)
            if found:
                return found
            if fresh.is_done or not follow:
                raise NotFound(fresh.state.message or f"no executions found for job {job.id}", hint="see `bacalhau describe`")
            await watch.wait(60)


def _choose(executions: list[Execution], execution_id: str) -> Execution | None:
    if execution_id:
        return next((e for e in executions if e.id.startswith(execution_id)), None)
    candidates = [e for e in executions if e.state in _WITH_OUTPUT]
    return max(candidates, key=lambda e: (e.state != ComputeStateType.FAILED, e.modify_time), default=None)


def _is_complete(execution: Execution) -> bool:
    output = execution.run_output
    return output is not None and not output.stdout_truncated and not output.stderr_truncated


def _recorded(execution: Execution) -> list[LogChunk]:
    output = execution.run_output
    return [(kind, text) for kind, text in ((STDOUT, output.stdout), (STDERR, output.stderr)) if text] if output else []
