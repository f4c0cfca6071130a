"""Routes that look ahead or back: what a job would change, where it would run and why not elsewhere, running a
version again, where its inputs came from, and publishing what nodes kept.
"""

from litestar import get, post, put
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.errors import refused
from bacalhau.api.http.request import Ask, ignored, named_job, orchestrator, read_body, read_job_body
from bacalhau.api.v1.query import MOST_SHOWN, ExplainJob, LineageOfJob, Query, read_query
from bacalhau.models.job.job import Job
from bacalhau.models.wire.api import (
    DiffJobRequest,
    DiffJobResponse,
    ExplainJobRequest,
    ExplainJobResponse,
    PublishJobRequest,
    PublishJobResponse,
    RerunJobRequest,
    RerunJobResponse,
)
from bacalhau.models.wire.lineage import LineageResponse
from bacalhau.models.wire.paging import parse_token
from bacalhau.orchestrator.jobs import explain, publish, versions
from bacalhau.orchestrator.jobs.lineage import find_lineage


@put("/jobs/diff", status_code=200, body=DiffJobRequest)
async def diff_job(request: Ask) -> DiffJobResponse:
    """Show what submitting a job would change in the stored one of its name."""
    asked, unknown = await read_job_body(request, DiffJobRequest)
    return await versions.diff_job(orchestrator(request), _given(asked.job), ignored(unknown))


@put("/jobs/{job_id:str}/rerun", status_code=200, query=Query, body=RerunJobRequest)
async def rerun_job(request: Ask, job_id: FromPath[str]) -> RerunJobResponse:
    """Run a job's latest or an earlier version again, as a new version."""
    query = read_query(request.scope["query_string"], Query)
    asked, _ = await read_body(request, RerunJobRequest)
    if not 0 <= asked.job_version < 2**63:
        raise refused(f"field 'JobVersion' must be 0 (the latest) or a version's number, not {asked.job_version}")
    return await versions.rerun_job(
        orchestrator(request),
        named_job(job_id),
        query.namespace,
        asked.job_version,
        asked.reason,
        same_inputs=asked.same_inputs,
    )


@post("/jobs/{job_id:str}/publish", status_code=200, query=Query, body=PublishJobRequest)
async def publish_job(request: Ask, job_id: FromPath[str]) -> PublishJobResponse:
    """Have nodes publish the outputs that they kept of a job that has ended."""
    query = read_query(request.scope["query_string"], Query)
    asked, _ = await read_body(request, PublishJobRequest)
    return await publish.publish_job(orchestrator(request), named_job(job_id), query.namespace, asked)


@post("/jobs/explain", status_code=200, query=ExplainJob, body=ExplainJobRequest)
async def explain_job(request: Ask) -> ExplainJobResponse:
    """Show where a job would run now, and for other nodes, page by page, why not; nothing is stored."""
    page = _page(read_query(request.scope["query_string"], ExplainJob))
    asked, unknown = await read_job_body(request, ExplainJobRequest)
    return await explain.explain_new(orchestrator(request), _given(asked.job), ignored(unknown), page)


@get("/jobs/{job_id:str}/explain", query=ExplainJob)
async def explain_stored_job(request: Ask, job_id: FromPath[str]) -> ExplainJobResponse:
    """Show where a stored job runs or would run next, and for other nodes, page by page, why not."""
    query = read_query(request.scope["query_string"], ExplainJob)
    page = _page(query)
    return await explain.explain_stored(orchestrator(request), named_job(job_id), query.namespace, page)


@get("/jobs/{job_id:str}/lineage", query=LineageOfJob)
async def get_lineage(request: Ask, job_id: FromPath[str]) -> LineageResponse:
    """Tell where the inputs of a job came from, through other jobs, and which jobs read its results; 1,000 of each."""
    query = read_query(request.scope["query_string"], LineageOfJob)
    return await find_lineage(orchestrator(request), named_job(job_id), query.namespace, query.job_version)


def _page(query: ExplainJob) -> explain.Page:
    """Read the page that is asked for. Raises BadRequest for a token of another list."""
    if not query.next_token:
        return explain.Page(query.limit or explain.SHOWN)
    token = parse_token(query.next_token)
    if not (token.key.isascii() and token.key.isdigit() and token.id and token.limit <= MOST_SHOWN):
        raise refused(f"invalid paging token: {query.next_token} is of another list: begin again")
    return explain.Page(query.limit or token.limit or explain.SHOWN, (int(token.key[:9]), token.id))


def _given(job: Job | None) -> Job:
    if job is None:
        raise refused("empty/nil job")
    return job


PLANNING_ROUTES: list[ControllerRouterHandler] = [
    diff_job,
    rerun_job,
    publish_job,
    explain_job,
    explain_stored_job,
    get_lineage,
]
