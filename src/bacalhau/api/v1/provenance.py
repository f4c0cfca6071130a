"""The route of a job's provenance: what its executions read and wrote, sent while it is read."""

from collections.abc import AsyncIterator, Sequence

from litestar import get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import send_after, send_lines
from bacalhau.api.http.errors import refused
from bacalhau.api.http.request import Ask, named_job, orchestrator
from bacalhau.api.v1.query import ReadProvenance, read_query
from bacalhau.models.wire.api import ListProvenanceResponse, Provenance
from bacalhau.orchestrator.jobs import read
from bacalhau.orchestrator.jobs.intoto import write_statements
from bacalhau.orchestrator.jobs.provenance import read_page, read_provenance


@get("/jobs/{job_id:str}/provenance", query=ReadProvenance)
async def get_provenance(request: Ask, job_id: FromPath[str]) -> ListProvenanceResponse:
    """List the files that the completed executions of a job read and published, with their SHA-256; with
    `format=intoto` as JSON Lines, one in-toto statement with SLSA's predicate an execution.
    """
    query, orch = read_query(request.scope["query_string"], ReadProvenance), orchestrator(request)
    job = await read.find_job(orch, named_job(job_id), query.namespace, query.job_version)
    if query.format:
        if query.page:
            raise refused("query parameter 'page' is for answers without 'format': leave one of them out")
        await send_lines(request, write_statements(orch, job, query.execution_id))
        return ListProvenanceResponse()
    if query.page:
        piece, pages = await read_page(orch, job, query.execution_id, query.page)
        return ListProvenanceResponse(items=(piece,), pages=pages)
    pieces = read_provenance(orch, job, query.execution_id)
    first = await _first(pieces)
    if first:
        send_after(request, first, _one_by_one(pieces))
    return ListProvenanceResponse(items=first)


async def _first(pieces: AsyncIterator[Provenance]) -> tuple[Provenance, ...]:
    """Read the first piece, so that what is not there is an error and no broken answer."""
    async for piece in pieces:
        return (piece,)
    return ()


async def _one_by_one(pieces: AsyncIterator[Provenance]) -> AsyncIterator[Sequence[Provenance]]:
    async for piece in pieces:
        yield (piece,)


PROVENANCE_ROUTES: list[ControllerRouterHandler] = [get_provenance]
