"""Events of jobs as Server-Sent Events: each with an id, from which a client goes on after an interruption.

An event is `history` (a row as GET /history gives it), `progress` (the latest stage of each live execution), or `end`:
the job is over, and whoever comes back with the last id is told 204, which keeps a browser from asking again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import go_json
from bacalhau.api.http.errors import refused
from bacalhau.api.http.request import Ask, Waits, named_job, orchestrator, waits
from bacalhau.api.v1.jobs import LEVELS
from bacalhau.api.v1.query import FollowEvents, FollowJob, read_query
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import NotFound
from bacalhau.lib.wire import Model, always
from bacalhau.models.job.job import JobState
from bacalhau.models.wire.messages import Progress
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.jobs import read
from bacalhau.orchestrator.jobs.follow import EveryReader, JobReader, Page, read_cursor
from bacalhau.orchestrator.state.board import EVERY, Watch
from bacalhau.ports.store import HistoryCursor, HistoryQuery

SSE = "text/event-stream"
HEARTBEAT = 15.0  # seconds without an event
TOGETHER = 0.05  # seconds: what happens to many jobs is read together
COME_BACK = 1000  # ms: what a client waits before it connects again

Stream = ServerSentEvent | Response[None]


class ProgressEvent(Model):
    job_id: str = always(factory=str)
    progress: tuple[Progress, ...] = always(factory=tuple)


class EndEvent(Model):
    job_id: str = always(factory=str)
    state: JobState = always(factory=JobState)


_OVER = {204: ResponseSpec(None, description="The job has ended, and its last event was seen")}


@get("/events", query=FollowEvents, media_type=SSE, responses=_OVER)
async def follow_events(request: Ask) -> Stream:
    """Stream the events of all jobs, of one namespace or of one `job`, from now on or after `Last-Event-ID`."""
    query, orch = read_query(request.scope["query_string"], FollowEvents), orchestrator(request)
    if query.job:
        return await _follow_job(request, query.job, query)
    last, now = _last_id(request, query), now_ns()
    place = read_cursor(last) if last else HistoryCursor(query.since * 10**9 - 1 if query.since else now)
    if place is None:
        raise refused(f"Last-Event-ID must be one that this stream gave, not '{last}'")
    if place.time > now:  # the clock was set back since
        place = HistoryCursor(now)
    reader = EveryReader(orch, place, query.namespace, LEVELS[query.event_type])
    return ServerSentEvent(_tell(orch, waits(request), reader, EVERY))


@get("/jobs/{job_id:str}/events", query=FollowJob, media_type=SSE, responses=_OVER)
async def follow_job(request: Ask, job_id: FromPath[str]) -> Stream:
    """Stream the events of a job, from its beginning or after `Last-Event-ID`, until it has ended."""
    return await _follow_job(request, named_job(job_id), read_query(request.scope["query_string"], FollowJob))


async def _follow_job(request: Ask, job_id: str, query: FollowEvents | FollowJob) -> Stream:
    orch, last = orchestrator(request), _last_id(request, query)
    if last and not (last.isascii() and last.isdigit() and len(last) < 19):
        raise refused(f"Last-Event-ID must be the number of an event of this job, not '{last}'")
    job = await read.find_job(orch, job_id, query.namespace)
    wanted = HistoryQuery(job.id, after_seq=int(last or 0), limit=1, level=LEVELS[query.event_type], since=query.since)
    if last and job.is_done and not await orch.store.list_history(wanted):
        return Response(None, status_code=204)
    return ServerSentEvent(_tell(orch, waits(request), JobReader(orch, wanted), job.id))


def _last_id(request: Ask, query: FollowEvents | FollowJob) -> str:
    return request.headers.get("last-event-id", "") or query.last_event_id


async def _tell(
    orch: Orchestrator, waiting: Waits, reader: JobReader | EveryReader, topic: str
) -> AsyncIterator[ServerSentEventMessage]:
    yield ServerSentEventMessage(data=None, id=reader.place, retry=COME_BACK)
    with orch.board.watch(topic) as watch, suppress(NotFound):
        while not waiting.over:
            watch.clear()
            page = await reader.next_page()
            for message in _messages(page, topic):
                yield message
            if page.end is not None:
                return
            if not page.is_full and not await _has_news(waiting, watch):
                yield ServerSentEventMessage(data=None, id=reader.place, comment="still here")
            if topic == EVERY:
                await asyncio.sleep(TOGETHER)


async def _has_news(waiting: Waits, watch: Watch) -> bool:
    with suppress(TimeoutError):
        return await waiting.wait(HEARTBEAT, watch.wait(HEARTBEAT * 2))
    return False


def _messages(page: Page, job_id: str) -> list[ServerSentEventMessage]:
    told = [_message("history", event, place) for place, event in page.events]
    if page.progress:
        told.append(_message("progress", ProgressEvent(job_id=job_id, progress=page.progress)))
    if page.end is not None:
        told.append(_message("end", EndEvent(job_id=job_id, state=page.end.state)))
    return told


def _message(kind: str, body: Any, place: str | None = None) -> ServerSentEventMessage:
    return ServerSentEventMessage(data=go_json(body).decode().strip(), event=kind, id=place)


EVENT_ROUTES: list[ControllerRouterHandler] = [follow_events, follow_job]
