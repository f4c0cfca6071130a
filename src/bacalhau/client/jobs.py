"""The verbs of jobs: submit, change, wait for, look at and stop them. Each is one request, or one stream of them.

Jobs are named by id, by a unique beginning of it, or by name.
"""

import asyncio
import secrets
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from msgspec.structs import replace

from bacalhau.client.conversation import Conversation
from bacalhau.client.paths import job_path
from bacalhau.client.waiting import OnAway, patiently, watch_job
from bacalhau.lib.errors import TimedOut, with_hint
from bacalhau.lib.wire import Model, encode
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.text.jobfile import read_job_text
from bacalhau.models.wire.api import (
    DeleteJobResponse,
    DiffJobRequest,
    DiffJobResponse,
    ExplainJobRequest,
    ExplainJobResponse,
    GetJobResponse,
    ListExecutionsResponse,
    ListHistoryResponse,
    ListJobsResponse,
    PublishJobRequest,
    PublishJobResponse,
    PutJobRequest,
    PutJobResponse,
    RerunJobRequest,
    RerunJobResponse,
    StopJobRequest,
    StopJobResponse,
)
from bacalhau.models.wire.lineage import LineageResponse
from bacalhau.models.wire.messages import Progress

OnEvent = Callable[[JobHistory | Progress], None]
"""Called for every event of a job, and for each step of an execution, as they become known."""


class JobVerbs(Conversation):
    """Verbs of jobs."""

    async def submit(self, job: Job | dict[str, Any] | str, *, force: bool = False, idempotency_token: str = "") -> str:
        """Submit a job and return its id. A text is a job file (YAML or JSON) of either generation.

        `force` submits a job that did not change. The same job with the same `idempotency_token` (200 characters at
        most, new for each job) is submitted once, however often it is sent: a program that does not know whether its
        job arrived sends it again. Raises BadRequest with all problems, Conflict when a named job did not change or
        the token came with another job.

        Examples:
            >>> first = client.submit(sleeper, force=True, idempotency_token="monday")
            >>> client.submit(sleeper, force=True, idempotency_token="monday") == first
            True
        """
        return (await self.put_job(_job_of(job), force=force, idempotency_token=idempotency_token)).job_id

    async def put_job(self, job: Job, *, force: bool = False, idempotency_token: str = "") -> PutJobResponse:
        """Submit a job as `submit` does, and return also the evaluation's id and the server's warnings.

        Without a token of the caller the client makes one, by which it sends a job again whose answer was lost. Servers
        of the original do not read tokens.
        """
        if self.endpoint.namespace and not job.namespace:
            job = replace(job, namespace=self.endpoint.namespace)
        body = PutJobRequest(job=job, force=force, idempotency_token=idempotency_token or secrets.token_hex(16))
        return await self.transport.tell_again(PutJobResponse, "PUT", "/orchestrator/jobs", body)

    async def diff(self, job: Job | dict[str, Any] | str) -> DiffJobResponse:
        """Compare the job with the stored one of its name. Raises NotFound when there is none."""
        return await self.transport.tell(
            DiffJobResponse, "PUT", "/orchestrator/jobs/diff", DiffJobRequest(job=_job_of(job))
        )

    async def explain(
        self, job: Job | dict[str, Any] | str, *, limit: int = 0, next_token: str = ""
    ) -> ExplainJobResponse:
        """Tell what the job would lead to if it were submitted now, without submitting it: with at most `limit` nodes
        (1,000 at most, 0 is 100), after those of the page that gave `next_token`.

        Ours alone: others' servers raise NotFound.
        """
        return await self.transport.tell(
            ExplainJobResponse,
            "POST",
            "/orchestrator/jobs/explain",
            ExplainJobRequest(job=_job_of(job)),
            {"limit": limit, "next_token": next_token},
        )

    async def explain_stored(
        self, job_id: str, *, namespace: str = "", limit: int = 0, next_token: str = ""
    ) -> ExplainJobResponse:
        """Explain a job that is there, as `explain` does."""
        query = {"namespace": namespace, "limit": limit, "next_token": next_token}
        return await self.transport.ask(ExplainJobResponse, job_path(job_id, "explain"), query)

    async def rerun(
        self, job_id: str, *, version: int = 0, reason: str = "", same_inputs: bool = False, namespace: str = ""
    ) -> RerunJobResponse:
        """The job's next version, with the spec of `version` or of the latest.

        `same_inputs`: it reads the objects that were listed for that version, although the bucket may hold others by
        now. Raises Conflict while the job waits to run, and where no list of inputs is held.
        """
        body = RerunJobRequest(job_version=version, reason=reason, same_inputs=same_inputs)
        return await self.transport.tell(
            RerunJobResponse, "PUT", job_path(job_id, "rerun"), body, {"namespace": namespace}
        )

    async def publish(
        self, job_id: str, publisher: SpecConfig | None = None, *, execution_id: str = "", namespace: str = ""
    ) -> tuple[Execution, ...]:
        """Have nodes publish the outputs that they kept of a job that has ended, and return the executions when that is
        done: Completed, or Failed with the reason.

        `publisher` None is the job's own; `execution_id` chooses one execution. Raises Conflict while the job runs,
        NotFound where nothing is kept, Unavailable where the node that keeps it is away.
        """
        body = PublishJobRequest(execution_id=execution_id, publisher=publisher)
        path = job_path(job_id, "publish")
        asked = await self.transport.tell(PublishJobResponse, "POST", path, body, {"namespace": namespace})
        for each in asked.executions:
            async for _ in watch_job(self.transport, asked.job_id, execution_id=each):
                pass
        return tuple(e for e in await self.executions(asked.job_id) if e.id in asked.executions)

    def wait(
        self, job_id: str, timeout: float | None = None, on_event: OnEvent | None = None, on_away: OnAway | None = None
    ) -> Coroutine[Any, Any, Job]:
        """The job when it has ended, however it ended; a service or daemon when it runs.

        `timeout` in seconds; when it passes, TimedOut is raised and the job goes on. `on_away` hears when the server
        goes away.
        """
        return self._wait(job_id, timeout, on_event, on_away)

    async def _wait(self, job_id: str, seconds: float | None, on_event: OnEvent | None, on_away: OnAway | None) -> Job:
        try:
            async with asyncio.timeout(seconds):
                async for answer in self.watch(job_id, on_away):
                    _pass_on(answer, on_event)
                    if (
                        any(_is_running(event) for event in answer.items)
                        and (await self.get_job(job_id)).type in LONG_RUNNING
                    ):
                        break
                return await patiently(lambda: self.get_job(job_id))
        except TimeoutError as e:
            hint = "it goes on; wait again, or stop it"
            raise with_hint(TimedOut(f"job {job_id} has not ended within {seconds:g} s", hint=hint)) from e

    def watch(self, job_id: str, on_away: OnAway | None = None) -> AsyncGenerator[ListHistoryResponse, None]:
        """Events and progress as they come, until nothing more can come; over restarts of the server."""
        return watch_job(self.transport, job_id, on_away)

    async def get_job(self, job_id: str, *, namespace: str = "", version: int = 0) -> Job:
        """Return a job as it is now; `version` 0 is the latest. Raises NotFound."""
        answer = await self.transport.ask(
            GetJobResponse, job_path(job_id), {"namespace": namespace, "job_version": version}
        )
        return answer.job

    async def describe(self, job_id: str, *, namespace: str = "", version: int = 0) -> GetJobResponse:
        """The job with its executions and history."""
        query = {"include": "executions,history", "namespace": namespace, "job_version": version}
        return await self.transport.ask(GetJobResponse, job_path(job_id), query)

    async def lineage(self, job_id: str, *, namespace: str = "", version: int = 0) -> LineageResponse:
        """Tell where the inputs of a job came from, through other jobs, and which jobs read its results.

        Ours alone: others' servers raise NotFound.
        """
        query = {"namespace": namespace, "job_version": version}
        return await self.transport.ask(LineageResponse, job_path(job_id, "lineage"), query)

    async def list_jobs(self, **query: Any) -> ListJobsResponse:
        """One page: `namespace`, `labels` (a selector), `limit`, `next_token`, `order_by`, `reverse`."""
        return await self.transport.ask(ListJobsResponse, "/orchestrator/jobs", query)

    async def executions(self, job_id: str, **query: Any) -> tuple[Execution, ...]:
        """List the executions of the latest version: `namespace`, `limit`, `order_by`, `reverse`, `job_version`,
        `all_job_versions`.
        """
        return (await self.list_executions(job_id, **query)).items

    async def list_executions(self, job_id: str, **query: Any) -> ListExecutionsResponse:
        """One page; the query as for `executions`, and `next_token`."""
        return await self.transport.ask(ListExecutionsResponse, job_path(job_id, "executions"), query)

    async def history(self, job_id: str, **query: Any) -> ListHistoryResponse:
        """One page: `event_type` (all, job, execution), `execution_id`, `limit`, `next_token`, `job_version`,
        `all_job_versions`.
        """
        return await self.transport.ask(ListHistoryResponse, job_path(job_id, "history"), query)

    async def versions(self, job_id: str, *, namespace: str = "") -> tuple[Job, ...]:
        """Return every version of a job, oldest first. Raises NotFound."""
        return (
            await self.transport.ask(ListJobsResponse, job_path(job_id, "versions"), {"namespace": namespace})
        ).items

    async def stop(self, job_id: str, reason: str = "Stopped at user request", *, namespace: str = "") -> str:
        """The evaluation's id. Raises Conflict when the job has ended already."""
        query = {"namespace": namespace}
        return (
            await self.transport.tell(StopJobResponse, "DELETE", job_path(job_id), StopJobRequest(reason=reason), query)
        ).evaluation_id

    async def delete(self, job_id: str, *, namespace: str = "") -> DeleteJobResponse:
        """Delete a job that has ended, with its history, output and content. Raises Conflict when it has not ended."""
        query = {"namespace": namespace}
        return await self.transport.tell(DeleteJobResponse, "POST", job_path(job_id, "delete"), Model(), query)


def _pass_on(answer: ListHistoryResponse, on_event: OnEvent | None) -> None:
    if on_event is not None:
        for event in answer.items:
            on_event(event)
        for step in answer.progress or ():
            on_event(step)


def _job_of(job: Job | dict[str, Any] | str) -> Job:
    if isinstance(job, Job):
        return job
    read, notes = read_job_text(job if isinstance(job, str) else encode(job).decode(), strict=True)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return read


def _is_running(event: JobHistory) -> bool:
    return (event.event.details or {}).get("NewState") == JobStateType.RUNNING.value
