"""The lineage of a job: the jobs and objects that its inputs came from, and the jobs that read its results."""

from bacalhau.lib.errors import NotFound
from bacalhau.models.job.job import Job
from bacalhau.models.job.taken import KIND, JobParams, taking_inputs, with_pinned
from bacalhau.models.wire.lineage import LineageInput, LineageJob, LineageResponse, LineageResult
from bacalhau.orchestrator.core import Orchestrator

MOST = 1000  # jobs, and readers, of an answer


async def find_lineage(orch: Orchestrator, job_id: str, namespace: str, version: int = 0) -> LineageResponse:
    """Find the lineage of a version (0: the latest) of a job. Raises NotFound."""
    first = await orch.store.find_job(job_id, namespace)
    readers = await orch.store.list_readers(first.id, MOST + 1)
    todo, seen = [(first.id, version or first.version)], {(first.id, version or first.version)}
    found: list[LineageJob] = []
    for at in todo:  # grows meanwhile
        if len(found) == MOST:
            break
        found.append(await _describe(orch, *at))
        further = dict.fromkeys((r.job_id, r.job_version) for item in found[-1].inputs for r in item.results)
        todo += [each for each in further if each not in seen]
        seen.update(further)
    if found[0].is_forgotten:
        await orch.store.get_job_version(first.id, version)
    is_cut = len(readers) > MOST or len(todo) > len(found)
    return LineageResponse(jobs=tuple(found), readers=tuple(readers[:MOST]), is_cut=is_cut)


async def _describe(orch: Orchestrator, job_id: str, version: int) -> LineageJob:
    try:
        job = await orch.store.get_job_version(job_id, version)
    except NotFound:
        return LineageJob(job_id=job_id, job_version=version, is_forgotten=True)
    listed = job.inventory
    return LineageJob(
        job_id=job_id,
        job_version=version,
        name=job.name,
        state=job.state.state_type,
        objects=listed.objects if listed else 0,
        bytes=listed.bytes if listed else 0,
        inputs=_inputs(job),
    )


def _inputs(job: Job) -> tuple[LineageInput, ...]:
    taken = {number: params for number, _, params in taking_inputs(job)}
    return tuple(
        LineageInput(
            target=item.target,
            source=with_pinned(item.source, ()) if item.source.kind == KIND else item.source,
            results=_results(taken[number]) if number in taken else (),
        )
        for number, item in enumerate(job.task.input_sources or ())
    )


def _results(params: JobParams) -> tuple[LineageResult, ...]:
    return tuple(
        LineageResult(job_id=t.job_id, job_version=t.job_version, execution_id=t.execution_id, source=t.source)
        for t in params.pinned
    )
