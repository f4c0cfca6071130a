"""Provenance of a job: what its executions read and wrote, read page by page from the content store."""

from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

from msgspec.structs import replace

from bacalhau.lib.clock import rfc3339
from bacalhau.lib.errors import BacalhauError, NotFound
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.proof import FileRow, Proof, Root
from bacalhau.models.job.job import InputSource, Job
from bacalhau.models.wire.api import Provenance, ProvenFile
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.published import walk_executions
from bacalhau.orchestrator.jobs.recipe import read_recipe

_NEVER_MADE = "its node made none: it is of another make, or of an older version"
_NOTHING = "it read no input and published nothing"
_PLACES = ("Bucket", "Container")  # parameters of sources whose keys are below something


async def list_proven(orch: Orchestrator, job: Job, execution_id: str = "") -> AsyncIterator[Execution]:
    """Yield the executions of a version of a job that completed, or have a proof; with `execution_id` those whose id
    begins with it.
    """
    async for execution in walk_executions(orch, job.id, job.version):
        is_wanted = execution.proof is not None or execution.state == ComputeStateType.COMPLETED
        if is_wanted and execution.id.startswith(execution_id):
            yield execution


async def read_provenance(orch: Orchestrator, job: Job, execution_id: str = "") -> AsyncIterator[Provenance]:
    """Yield the provenance of a version of a job, piece by piece. Raises NotFound for an execution that it does not
    have, or that has not completed.
    """
    is_any = False
    async for execution in list_proven(orch, job, execution_id):
        is_any = True
        async for piece in read_proof(orch, job, execution):
            yield piece
    if execution_id and not is_any:
        raise not_proven(job, execution_id)


async def read_page(orch: Orchestrator, job: Job, execution_id: str, page: int) -> tuple[Provenance, int]:
    """Read one page, from 1 on, of what an execution published; return it with the number of pages. Beyond the last
    page there are no files. Raises NotFound.
    """
    try:
        execution, _ = await orch.store.load_execution(execution_id)
    except NotFound as e:
        raise not_proven(job, execution_id) from e
    if execution.job_id != job.id:
        raise not_proven(job, execution_id)
    piece = Provenance(execution_id=execution.id)
    if why := why_missing(job, execution):
        return replace(piece, missing=why), 0
    try:
        root = await orch.proofs.read_root(execution)
        names = root.output_pages[page - 1 : page]
        async for rows in orch.proofs.read_pages(execution.id, names):
            piece = replace(piece, outputs=files_of(job, rows))
    except BacalhauError as e:
        return replace(piece, missing=f"it cannot be read: {e.message}"), 0
    return piece, len(root.output_pages)


def not_proven(job: Job, execution_id: str) -> NotFound:
    """Make the error for an execution that is not there, or has nothing to tell."""
    said = f"execution not found, or not completed: {execution_id}"
    return NotFound(said, hint=f"see: bacalhau job executions {job.id}")


async def read_proof(orch: Orchestrator, job: Job, execution: Execution) -> AsyncIterator[Provenance]:
    """Yield the proof of an execution, piece by piece. One that cannot be read, or no further, says why."""
    recipe = read_recipe(job.task)
    piece = Provenance(
        execution_id=execution.id,
        node_id=execution.node_id,
        partition_index=execution.partition_index,
        state=execution.state.label,
        engine=recipe.engine,
        command=recipe.command,
        environment=recipe.environment,
    )
    if why := why_missing(job, execution):
        yield replace(piece, missing=why)
        return
    try:
        root = await orch.proofs.read_root(execution)
        piece = _with_root(piece, execution.proof or Proof(), root)
        inputs = orch.proofs.read_pages(execution.id, root.input_pages)
        outputs = orch.proofs.read_pages(execution.id, root.output_pages)
        first = [rows async for rows in inputs] if len(root.input_pages) < 2 else []
        piece = replace(piece, inputs=files_of(job, [row for rows in first for row in rows]))
        async for rows in inputs:
            yield replace(piece, inputs=files_of(job, rows))
            piece = Provenance(execution_id=execution.id)
        async for rows in outputs:
            yield replace(piece, outputs=files_of(job, rows))
            piece = Provenance(execution_id=execution.id)
    except BacalhauError as e:
        yield replace(piece, missing=f"it cannot be read: {e.message}")
        return
    if piece.node_id:
        yield piece


def why_missing(job: Job, execution: Execution) -> str:
    """Say why an execution has no proof; "" where it has one."""
    proof, reused = execution.proof, execution.reused
    if reused is not None:
        return f"it did not run: its result is that of execution {reused.execution_id} of job {reused.job_id}"
    if proof is None:
        return _NEVER_MADE if job.task.input_sources or job.task.publisher_type else _NOTHING
    return proof.error or ("" if proof.root else _NEVER_MADE)


def _with_root(piece: Provenance, proof: Proof, root: Root) -> Provenance:
    return replace(
        piece,
        image=root.image,
        started=rfc3339(root.started) if root.started else "",
        ended=rfc3339(root.ended) if root.ended else "",
        node_version=root.node_version,
        input_digest=proof.inputs,
        source_digest=proof.sources,
        output_digest=proof.outputs,
        stages=root.stages,
    )


def files_of(job: Job, rows: Sequence[FileRow]) -> tuple[ProvenFile, ...]:
    """Tell files of a proof with the names and URIs that the job's inputs give them."""
    sources = job.task.input_sources or ()
    return tuple(_file(row, sources[row.input] if 0 <= row.input < len(sources) else None) for row in rows)


def _file(row: FileRow, source: InputSource | None) -> ProvenFile:
    return ProvenFile(
        path=row.path,
        size=row.size,
        sha256=row.sha256,
        target=source.target if source else "",
        uri=uri_of(source, row.key) if source and row.key else "",
        etag=row.etag,
        version=row.version,
        from_cache=row.from_cache,
    )


def uri_of(source: InputSource, key: str) -> str:
    """Write the URI of an object of an input: its key where that is one, else TYPE://PLACE/KEY."""
    if "://" in key:
        return key
    params = {name.lower(): value for name, value in (source.source.params or {}).items()}
    place = next((str(params[name.lower()]) for name in _PLACES if params.get(name.lower())), "")
    return f"{source.source.kind}://{place}{'/' if place else ''}{quote(key)}"
