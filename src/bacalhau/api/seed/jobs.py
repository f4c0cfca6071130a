"""The older generation's routes of jobs, over the same orchestrator as today's: submit, cancel, list, states, results,
events.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from litestar import Response, post
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import JSON, go_json
from bacalhau.api.http.request import Ask, note_object, orchestrator, read_body
from bacalhau.api.seed.envelope import read_envelope
from bacalhau.api.seed.errors import AmbiguousJob, MissingJob
from bacalhau.border.names import require_name
from bacalhau.lib.errors import BadRequest, Conflict, NotFound, Unauthorized
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import CLIENT_META, Job, Timeouts
from bacalhau.models.seed.api import (
    CancelPayload,
    EventFilter,
    EventsRequest,
    EventsResponse,
    ListRequest,
    ListResponse,
    PublishedResult,
    ResultsResponse,
    StateRequest,
    StateResponse,
    SubmitPayload,
    SubmitResponse,
)
from bacalhau.models.seed.reading import DEFAULT_SECONDS, job_from_seed, submission_problems
from bacalhau.models.seed.results import result_view
from bacalhau.models.seed.seed import SeedHistory, SeedJob, SeedJobWithInfo, SeedState
from bacalhau.models.seed.view import seed_history, seed_info, seed_state, seed_submitted
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.jobs import read
from bacalhau.orchestrator.jobs.submit import Sender, stop_job, submit_job
from bacalhau.ports.store import HistoryQuery, JobQuery

JOB_HEADER, CLIENT_HEADER = "X-Bacalhau-Job-ID", "X-Bacalhau-Client-ID"
CANCELLED = "job canceled by user"


@post("/submit", status_code=200)
async def submit(request: Ask) -> Response[bytes]:
    """A signed job. It belongs to the namespace of its client."""
    if JOB_HEADER in request.headers:
        raise BadRequest(f"the header {JOB_HEADER} is the server's to set: leave it out")
    payload = await read_envelope(request, SubmitPayload)
    orch, job = orchestrator(request), _read_job(payload, orchestrator(request).checks.publishers)
    accepted = await submit_job(orch, job, force=False, warnings=(), sender=Sender(payload.client_id))
    note_object(request, accepted.job_id)
    stored = await read.find_job(orch, accepted.job_id)
    return _answer(SubmitResponse(job=seed_submitted(stored, payload.api_version)), stored.id)


def _read_job(payload: SubmitPayload, publishers: Iterable[str]) -> Job:
    """Read the job of a submission. Raises BadRequest with every problem."""
    job, faults = job_from_seed(SeedJob(spec=payload.spec))
    problems = (
        ([] if payload.api_version else ["APIVersion is empty"])
        + submission_problems(payload.spec, publishers)
        + faults
    )
    if problems:
        raise BadRequest(problems)
    limits = job.task.timeouts or Timeouts()
    limits = msgspec.structs.replace(limits, execution_timeout=limits.execution_timeout or DEFAULT_SECONDS)
    return msgspec.structs.replace(
        job, namespace=payload.client_id, tasks=(msgspec.structs.replace(job.task, timeouts=limits),)
    )


@post("/cancel", status_code=200)
async def cancel(request: Ask) -> Response[bytes]:
    """Stop a job of one's own; a job that was cancelled before stays so."""
    payload = await read_envelope(request, CancelPayload)
    orch, job = orchestrator(request), await find_job(orchestrator(request), payload.job_id)
    if payload.client_id not in (job.namespace, (job.meta or {}).get(CLIENT_META)):
        raise Unauthorized(
            f"mismatched ClientIDs for cancel, existing job: {_owner(job) or 'nobody'}, cancel request:"
            f" {payload.client_id}"
        )
    try:
        await stop_job(orch, job.id, "", payload.reason or CANCELLED)
    except Conflict as e:
        raise Conflict(e.message.replace("cannot stop", "cannot cancel")) from e
    fresh = await read.find_job(orch, job.id)
    return _answer(StateResponse(state=await _state(orch, fresh)), job.id, payload.client_id)


def _owner(job: Job) -> str:
    return (job.meta or {}).get(CLIENT_META) or ""


@post("/list", status_code=200)
async def list_jobs(request: Ask) -> ListResponse:
    """The job of an id, or the jobs of a client or of all, with some of these tags and none of those."""
    query, _ = await read_body(request, ListRequest)
    orch = orchestrator(request)
    jobs = [await find_job(orch, query.id, missing=400)] if query.id else await _matching(orch, query)
    views = await orch.store.load_views([job.id for job in jobs])
    known = [views[job.id] for job in jobs if job.id in views]
    return ListResponse(jobs=await asyncio.to_thread(_drawn, known))


def _drawn(views: list[JobView]) -> tuple[SeedJobWithInfo, ...]:
    return tuple(seed_info(view.job, _latest(view.job, view.executions)) for view in views)


async def _matching(orch: Orchestrator, query: ListRequest) -> Sequence[Job]:
    if query.sort_by not in ("", "id", "created_at"):
        raise BadRequest(f"sort_by must be id or created_at, not {query.sort_by!r}")
    if query.max_jobs < 0:
        raise BadRequest(f"max_jobs must be >= 0, not {query.max_jobs}")
    if not query.return_all and not query.client_id:
        raise BadRequest("client_id is missing: name the client whose jobs are asked for, or set return_all")
    wanted = {tag.lower() for tag in query.include_tags}
    unwanted = {tag.lower() for tag in query.exclude_tags}

    def is_wanted(job: Job) -> bool:
        tags = {label.lower() for label in job.labels or {}}
        return (not wanted or bool(tags & wanted)) and not tags & unwanted

    namespace = "" if query.return_all else require_name(query.client_id, "client_id")
    asked = JobQuery(namespace, query.sort_by or "created_at", query.sort_reverse, query.max_jobs)
    jobs, _ = await read.list_matching_jobs(orch, asked, is_wanted)
    return jobs


@post("/states", status_code=200)
async def get_state(request: Ask) -> StateResponse:
    """The state of a job and of its executions."""
    query, _ = await read_body(request, StateRequest)
    job = await find_job(orchestrator(request), query.job_id)
    return StateResponse(state=await _state(orchestrator(request), job))


async def _state(orch: Orchestrator, job: Job) -> SeedState:
    """Draw a job's state on a thread: of a large job that takes seconds, in which the event loop goes on."""
    return await asyncio.to_thread(seed_state, job, await executions_of(orch, job))


@post("/results", status_code=200)
async def list_results(request: Ask) -> Response[bytes]:
    """List the places where the completed executions left their results."""
    query, _ = await read_body(request, StateRequest)
    job = await find_job(orchestrator(request), query.job_id)
    done = [
        e
        for e in await executions_of(orchestrator(request), job)
        if e.state == ComputeStateType.COMPLETED and e.published_result.type
    ]
    results = tuple(PublishedResult(node_id=e.node_id, data=result_view(e.published_result)) for e in done)
    return _answer(ResultsResponse(results=results), job.id, query.client_id)


@post("/events", status_code=200)
async def list_events(request: Ask) -> Response[bytes]:
    """List the events of a job so far."""
    query, _ = await read_body(request, EventsRequest)
    orch, job = orchestrator(request), await find_job(orchestrator(request), query.job_id)
    drawn = await history_of(orch, job, query.filters.since)
    events = tuple(event for event in drawn if _is_asked_for(event, query.filters))
    return _answer(EventsResponse(events=events), job.id, query.client_id)


def _is_asked_for(event: SeedHistory, wanted: EventFilter) -> bool:
    of_execution = bool(event.compute_reference)
    if wanted.exclude_execution_level if of_execution else wanted.exclude_job_level:
        return False
    return wanted.execution_id in ("", event.compute_reference) and wanted.node_id in ("", event.node_id)


async def history_of(orch: Orchestrator, job: Job, since: int = 0) -> list[SeedHistory]:
    """All of it, or from `since` (Unix seconds) on."""
    items = await orch.store.list_history(HistoryQuery(job.id, limit=0, job_version=job.version, since=since))
    # Read after the history, so that an end which is told of is also the present state.
    fresh = await read.find_job(orch, job.id)
    return await asyncio.to_thread(seed_history, fresh, await executions_of(orch, fresh), items)


async def find_job(orch: Orchestrator, job_id: str, *, missing: int = 404) -> Job:
    """Find a job by its id or the unique beginning of it. Raises MissingJob, AmbiguousJob."""
    if not job_id:
        raise BadRequest("job_id is missing: name a job")
    try:
        return await read.find_job(orch, require_name(job_id, "job_id"))
    except NotFound as e:
        raise MissingJob(job_id, missing) from e
    except Conflict as e:
        raise AmbiguousJob(e.message, hint=e.hint) from e


async def executions_of(orch: Orchestrator, job: Job) -> list[Execution]:
    return await orch.store.list_executions(job.id, job.version)


def _latest(job: Job, executions: Sequence[Execution]) -> list[Execution]:
    return [e for e in executions if e.job_version == job.version]


def _answer(body: Any, job_id: str, client_id: str = "") -> Response[bytes]:
    headers = {JOB_HEADER: job_id} | ({CLIENT_HEADER: client_id} if client_id else {})
    return Response(go_json(body), media_type=JSON, headers=headers)


SEED_JOB_ROUTES: list[ControllerRouterHandler] = [submit, cancel, list_jobs, get_state, list_results, list_events]
