"""The verbs of jobs: submit, change, wait for, look at and stop them. Each is one request, or one stream of them.

Written by `make sync` from `jobs`.
"""

from collections.abc import Iterator
from typing import Any

from bacalhau.client.blocking import Blocking
from bacalhau.client.jobs import JobVerbs, OnEvent
from bacalhau.client.waiting import OnAway
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.api import (
    DeleteJobResponse,
    DiffJobResponse,
    ExplainJobResponse,
    GetJobResponse,
    ListExecutionsResponse,
    ListHistoryResponse,
    ListJobsResponse,
    PutJobResponse,
    RerunJobResponse,
)
from bacalhau.models.wire.lineage import LineageResponse


class SyncJobVerbs(Blocking):
    """Verbs of jobs."""

    _client: JobVerbs

    def submit(self, job: Job | dict[str, Any] | str, *, force: bool = False, idempotency_token: str = "") -> str:
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
        return self._run(self._client.submit(job, force=force, idempotency_token=idempotency_token))

    def put_job(self, job: Job, *, force: bool = False, idempotency_token: str = "") -> PutJobResponse:
        """Submit a job as `submit` does, and return also the evaluation's id and the server's warnings.

        Without a token of the caller the client makes one, by which it sends a job again whose answer was lost. Servers
        of the original do not read tokens.
        """
        return self._run(self._client.put_job(job, force=force, idempotency_token=idempotency_token))

    def diff(self, job: Job | dict[str, Any] | str) -> DiffJobResponse:
        """Compare the job with the stored one of its name. Raises NotFound when there is none."""
        return self._run(self._client.diff(job))

    def explain(self, job: Job | dict[str, Any] | str, *, limit: int = 0, next_token: str = "") -> ExplainJobResponse:
        """Tell what the job would lead to if it were submitted now, without submitting it: with at most `limit` nodes
        (1,000 at most, 0 is 100), after those of the page that gave `next_token`.

        Ours alone: others' servers raise NotFound.
        """
        return self._run(self._client.explain(job, limit=limit, next_token=next_token))

    def explain_stored(
        self, job_id: str, *, namespace: str = "", limit: int = 0, next_token: str = ""
    ) -> ExplainJobResponse:
        """Explain a job that is there, as `explain` does."""
        return self._run(self._client.explain_stored(job_id, namespace=namespace, limit=limit, next_token=next_token))

    def rerun(
        self, job_id: str, *, version: int = 0, reason: str = "", same_inputs: bool = False, namespace: str = ""
    ) -> RerunJobResponse:
        """The job's next version, with the spec of `version` or of the latest.

        `same_inputs`: it reads the objects that were listed for that version, although the bucket may hold others by
        now. Raises Conflict while the job waits to run, and where no list of inputs is held.
        """
        return self._run(
            self._client.rerun(job_id, version=version, reason=reason, same_inputs=same_inputs, namespace=namespace)
        )

    def publish(
        self, job_id: str, publisher: SpecConfig | None = None, *, execution_id: str = "", namespace: str = ""
    ) -> tuple[Execution, ...]:
        """Have nodes publish the outputs that they kept of a job that has ended, and return the executions when that is
        done: Completed, or Failed with the reason.

        `publisher` None is the job's own; `execution_id` chooses one execution. Raises Conflict while the job runs,
        NotFound where nothing is kept, Unavailable where the node that keeps it is away.
        """
        return self._run(self._client.publish(job_id, publisher, execution_id=execution_id, namespace=namespace))

    def wait(
        self, job_id: str, timeout: float | None = None, on_event: OnEvent | None = None, on_away: OnAway | None = None
    ) -> Job:
        """The job when it has ended, however it ended; a service or daemon when it runs.

        `timeout` in seconds; when it passes, TimedOut is raised and the job goes on. `on_away` hears when the server
        goes away.
        """
        return self._run(self._client.wait(job_id, timeout, on_event, on_away))

    def watch(self, job_id: str, on_away: OnAway | None = None) -> Iterator[ListHistoryResponse]:
        """Events and progress as they come, until nothing more can come; over restarts of the server."""
        return self._each(self._client.watch(job_id, on_away))

    def get_job(self, job_id: str, *, namespace: str = "", version: int = 0) -> Job:
        """Return a job as it is now; `version` 0 is the latest. Raises NotFound."""
        return self._run(self._client.get_job(job_id, namespace=namespace, version=version))

    def describe(self, job_id: str, *, namespace: str = "", version: int = 0) -> GetJobResponse:
        """The job with its executions and history."""
        return self._run(self._client.describe(job_id, namespace=namespace, version=version))

    def lineage(self, job_id: str, *, namespace: str = "", version: int = 0) -> LineageResponse:
        """Tell where the inputs of a job came from, through other jobs, and which jobs read its results.

        Ours alone: others' servers raise NotFound.
        """
        return self._run(self._client.lineage(job_id, namespace=namespace, version=version))

    def list_jobs(self, **query: Any) -> ListJobsResponse:
        """One page: `namespace`, `labels` (a selector), `limit`, `next_token`, `order_by`, `reverse`."""
        return self._run(self._client.list_jobs(**query))

    def executions(self, job_id: str, **query: Any) -> tuple[Execution, ...]:
        """List the executions of the latest version: `namespace`, `limit`, `order_by`, `reverse`, `job_version`,
        `all_job_versions`.
        """
        return self._run(self._client.executions(job_id, **query))

    def list_executions(self, job_id: str, **query: Any) -> ListExecutionsResponse:
        """One page; the query as for `executions`, and `next_token`."""
        return self._run(self._client.list_executions(job_id, **query))

    def history(self, job_id: str, **query: Any) -> ListHistoryResponse:
        """One page: `event_type` (all, job, execution), `execution_id`, `limit`, `next_token`, `job_version`,
        `all_job_versions`.
        """
        return self._run(self._client.history(job_id, **query))

    def versions(self, job_id: str, *, namespace: str = "") -> tuple[Job, ...]:
        """Return every version of a job, oldest first. Raises NotFound."""
        return self._run(self._client.versions(job_id, namespace=namespace))

    def stop(self, job_id: str, reason: str = "Stopped at user request", *, namespace: str = "") -> str:
        """The evaluation's id. Raises Conflict when the job has ended already."""
        return self._run(self._client.stop(job_id, reason, namespace=namespace))

    def delete(self, job_id: str, *, namespace: str = "") -> DeleteJobResponse:
        """Delete a job that has ended, with its history, output and content. Raises Conflict when it has not ended."""
        return self._run(self._client.delete(job_id, namespace=namespace))
