"""Routes of jobs: submit, look, stop. Each reads its request, makes one call to the orchestrator and answers."""

from contextlib import suppress
from typing import TypeVar

import msgspec
from litestar import delete, get, post, route
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import PlainAnswer, send_after
from bacalhau.api.http.client_version import HEADER, needs_states_in_history
from bacalhau.api.http.errors import refused
from bacalhau.api.http.request import (
    Ask,
    header,
    ignored,
    named_job,
    note_object,
    orchestrator,
    read_body,
    read_job_body,
    waits,
)
from bacalhau.api.v1.query import (
    GetJob,
    ListExecutions,
    ListHistory,
    ListJobs,
    PutJob,
    Query,
    StopJob,
    read_labels,
    read_query,
)
from bacalhau.lib.ids import is_full_id
from bacalhau.models.execution.event import with_states
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.wire.api import (
    DeleteJobResponse,
    GetJobResponse,
    ListExecutionsResponse,
    ListHistoryResponse,
    ListJobsResponse,
    ListResultsResponse,
    PutJobRequest,
    PutJobResponse,
    SignLinksRequest,
    SignLinksResponse,
    StopJobRequest,
    StopJobResponse,
)
from bacalhau.models.wire.paging import PagingToken, parse_token
from bacalhau.orchestrator.jobs import delete as deletion
from bacalhau.orchestrator.jobs import read
from bacalhau.orchestrator.jobs.links import sign_links
from bacalhau.orchestrator.jobs.submit import Sender, stop_job, submit_job
from bacalhau.ports.store import ExecutionPage, HistoryQuery, JobQuery, Place, place_of

T = TypeVar("T")
HISTORY_PAGE = 100
MOST_EVENTS = 1000  # of one answer, whatever the limit
LARGEST = 2**32 - 1
LEVELS = {"all": "", "job": "JobLevel", "execution": "ExecutionLevel"}
EXECUTION_ORDERS = ("created_at", "create_time", "modified_at", "modify_time", "id", "state")


@route("/jobs", http_method=["PUT", "POST"], status_code=200, query=PutJob, body=PutJobRequest)
async def put_job(request: Ask) -> PutJobResponse:
    """Submit a job, or a new version of the job of that name. The same request with the same token (of the body, else
    the query) is answered as the first was, and makes nothing new.
    """
    query = read_query(request.scope["query_string"], PutJob)
    asked, unknown = await read_job_body(request, PutJobRequest)
    if asked.job is None:
        raise refused("empty/nil job")
    client, instance = header(request, b"x-bacalhau-installationid"), header(request, b"x-bacalhau-instanceid")
    sender = Sender(client, instance, asked.idempotency_token or query.idempotency_token)
    answer = await submit_job(
        orchestrator(request), asked.job, force=asked.force, warnings=ignored(unknown), sender=sender
    )
    note_object(request, answer.job_id)
    return answer


@get("/jobs", query=ListJobs)
async def list_jobs(request: Ask) -> ListJobsResponse:
    """Jobs of a namespace (empty or `*`: of all), oldest first. With labels a page has 1,000 jobs at most."""
    query = read_query(request.scope["query_string"], ListJobs)
    page = _page(query, "created_at", "modified_at", "id")
    selector = read_labels(query.labels)
    wanted = JobQuery(query.namespace, page.sort_by, page.reverse, page.limit, _after(page))
    found = await read.list_jobs(orchestrator(request), wanted, selector)
    return ListJobsResponse(next_token=_following(page, found.last), items=_items(request, found))


def _items(request: Ask, found: read.Listing[T]) -> tuple[T, ...]:
    """Return the first items of a list, and have the answer go on with the rest."""
    items = tuple(found.items)
    if found.rest is not None:
        send_after(request, items, found.rest)
    return items


def _page(query: ListJobs | ListExecutions, *orders: str) -> PagingToken:
    """A token's order and place replace the query's. Raises BadRequest."""
    if not query.next_token:
        return PagingToken(query.order_by or "created_at", query.reverse, query.limit)
    page = _token(query.next_token)
    if page.sort_by not in ("", *orders):
        raise refused(f"invalid paging token: {query.next_token} sorts by '{page.sort_by}'")
    if page.offset:
        raise refused(
            f"invalid paging token: {query.next_token} is of another list, or of an older server: begin again"
        )
    return page._replace(sort_by=page.sort_by or "created_at")


def _after(page: PagingToken) -> Place | None:
    """Return the place where the page before ended. Raises BadRequest where the token's key is none of its order."""
    if not page.id:
        return None
    if page.sort_by == "id":
        return Place(page.key, page.id)
    if not (page.key.isascii() and page.key.isdigit() and len(page.key) < 20 and int(page.key) < 2**63):
        raise refused(f"malformed token: invalid paging token: the place '{page.key}' is no number")
    return Place(int(page.key), page.id)


def _following(page: PagingToken, end: Job | Execution | None) -> str:
    """Return the token of the page after this item, "" where none follows."""
    if end is None:
        return ""
    key, last = place_of(end, page.sort_by)
    return page._replace(key=f"{key:d}" if isinstance(key, int) else key, id=last).encoded()


def _token(text: str) -> PagingToken:
    """The empty text is the beginning. Raises BadRequest."""
    token = parse_token(text) if text else PagingToken()
    if max(token.limit, token.offset) > LARGEST:
        raise refused(f"malformed token: invalid paging token: {text}")
    return token


@get("/jobs/{job_id:str}", query=GetJob)
async def get_job(request: Ask, job_id: FromPath[str]) -> GetJobResponse:
    """A job, with its history and executions when `include` asks for them. `wait` needs the full id."""
    query = read_query(request.scope["query_string"], GetJob)
    orch, include = orchestrator(request), {word.strip() for word in query.include.split(",")}
    name = named_job(job_id)
    if query.wait and not query.job_version and is_full_id(name):
        try:
            job = await waits(request).wait(query.wait + 5, read.wait_job(orch, name, query.wait))
        except TimeoutError:
            job = await read.find_job(orch, name, query.namespace)
    else:
        job = await read.find_job(orch, name, query.namespace, query.job_version)
    history = executions = None
    if "history" in include:
        wanted = HistoryQuery(job.id, limit=HISTORY_PAGE, job_version=job.version)
        history = ListHistoryResponse(items=(await read.wait_history(orch, wanted, wait=0, progress_seq=0)).items)
    if "executions" in include:
        found = await read.list_executions(orch, job.id, version=job.version)
        executions = ListExecutionsResponse(items=_items(request, found))
    return GetJobResponse(job=job, history=history, executions=executions)


@delete("/jobs/{job_id:str}", status_code=200, query=StopJob, body=StopJobRequest)
async def delete_job(request: Ask, job_id: FromPath[str]) -> StopJobResponse:
    """Stop a job. The reason is the body's, else the query's."""
    query = read_query(request.scope["query_string"], StopJob)
    body, _ = await read_body(request, StopJobRequest)
    return await stop_job(orchestrator(request), named_job(job_id), query.namespace, body.reason or query.reason)


@post("/jobs/{job_id:str}/delete", status_code=200, query=Query)
async def remove_job(request: Ask, job_id: FromPath[str]) -> DeleteJobResponse:
    """Delete a job that has ended, with its history, output and content. (DELETE stops a job, as in the original.)"""
    query = read_query(request.scope["query_string"], Query)
    return await deletion.delete_job(orchestrator(request), named_job(job_id), query.namespace)


@get("/jobs/{job_id:str}/history", query=ListHistory)
async def get_history(request: Ask, job_id: FromPath[str]) -> ListHistoryResponse:
    """Events after the token's place, 1,000 at most; `NextToken` is empty when nothing more can come.

    With `wait` the answer comes when there is something new, at the latest after that many seconds.
    """
    query, orch = read_query(request.scope["query_string"], ListHistory), orchestrator(request)
    full_id = named_job(job_id)
    if not is_full_id(full_id):
        full_id = (await read.find_job(orch, full_id, query.namespace)).id
    found = await _history(request, query, _history_query(query, full_id))
    if needs_states_in_history(request.headers.get(HEADER.decode(), "")):
        return msgspec.structs.replace(found, items=tuple(map(with_states, found.items)))
    return found


async def _history(request: Ask, query: ListHistory, wanted: HistoryQuery) -> ListHistoryResponse:
    orch = orchestrator(request)
    if query.wait:
        with suppress(TimeoutError):
            waiting = read.wait_history(orch, wanted, wait=query.wait, progress_seq=query.progress)
            return await waits(request).wait(query.wait + 5, waiting)
    return await read.wait_history(orch, wanted, wait=0, progress_seq=query.progress)


def _history_query(query: ListHistory, job_id: str) -> HistoryQuery:
    page = _token(query.next_token)
    version = query.job_version or (-1 if query.all_job_versions else 0)
    return HistoryQuery(
        job_id,
        after_seq=max(0, page.offset - 1),
        limit=min(query.limit or page.limit or HISTORY_PAGE, MOST_EVENTS),
        job_version=version,
        level=LEVELS[query.event_type],
        execution_id=query.execution_id,
        since=query.since,
    )


@get("/jobs/{job_id:str}/executions", query=ListExecutions)
async def list_executions(request: Ask, job_id: FromPath[str]) -> ListExecutionsResponse:
    """Executions of the latest version, of `job_version`, or of all versions."""
    query = read_query(request.scope["query_string"], ListExecutions)
    version = query.job_version or (-1 if query.all_job_versions else 0)
    page = _page(query, *EXECUTION_ORDERS)
    wanted = ExecutionPage(page.sort_by, page.reverse, page.limit, _after(page))
    found = await read.list_executions(orchestrator(request), named_job(job_id), query.namespace, version, wanted)
    return ListExecutionsResponse(next_token=_following(page, found.last), items=_items(request, found))


@get("/jobs/{job_id:str}/versions", query=Query)
async def list_versions(request: Ask, job_id: FromPath[str]) -> ListJobsResponse:
    """Every version of a job, oldest first."""
    query = read_query(request.scope["query_string"], Query)
    return ListJobsResponse(
        items=tuple(await read.list_versions(orchestrator(request), named_job(job_id), query.namespace))
    )


@get("/jobs/{job_id:str}/results", query=Query, response_class=PlainAnswer)
async def list_results(request: Ask, job_id: FromPath[str]) -> ListResultsResponse:
    """List the places where the results of the completed executions are."""
    query = read_query(request.scope["query_string"], Query)
    return await read.list_results(orchestrator(request), named_job(job_id), query.namespace)


@post("/jobs/{job_id:str}/results/links", status_code=200, query=Query, body=SignLinksRequest)
async def sign_result_links(request: Ask, job_id: FromPath[str]) -> SignLinksResponse:
    """Sign links to a result that consists of many objects: a page of its listing, and objects by key."""
    query = read_query(request.scope["query_string"], Query)
    body, _ = await read_body(request, SignLinksRequest)
    return await sign_links(orchestrator(request), named_job(job_id), query.namespace, body)


JOB_ROUTES: list[ControllerRouterHandler] = [
    put_job,
    list_jobs,
    get_job,
    delete_job,
    remove_job,
    get_history,
    list_executions,
    list_versions,
    list_results,
    sign_result_links,
]
