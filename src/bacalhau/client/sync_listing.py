"""The verbs that go through everything of a kind, page after page: jobs, executions, nodes, history and events.

Written by `make sync` from `listing`.
"""

from collections.abc import Iterator
from typing import Literal

from bacalhau.client.listing import EventLevel, ExecutionOrder, JobOrder, ListVerbs, NodeOrder
from bacalhau.client.sync_jobs import SyncJobVerbs
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.node.node import NodeState


class SyncListVerbs(SyncJobVerbs):
    """Verbs that list everything of a kind, page after page."""

    _client: ListVerbs

    def iter_jobs(
        self, *, namespace: str = "", labels: str = "", order_by: JobOrder = "created_at", reverse: bool = False
    ) -> Iterator[Job]:
        """Yield the jobs of a namespace ("" is the client's, "*" all), oldest first, as they are when their page is
        read. `labels` is a selector, such as `env=test,team in (a,b)`.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> [job.name for job in client.iter_jobs(labels="kind=example")]
            ['sleeper']
        """
        return self._each(
            self._client.iter_jobs(namespace=namespace, labels=labels, order_by=order_by, reverse=reverse)
        )

    def iter_executions(
        self,
        job_id: str,
        *,
        namespace: str = "",
        version: int = 0,
        all_versions: bool = False,
        order_by: ExecutionOrder = "created_at",
        reverse: bool = False,
    ) -> Iterator[Execution]:
        """Yield the executions of the latest version of a job, of `version`, or of all versions. Raises NotFound.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> job = client.wait(job_id, timeout=60)
            >>> [e.state.label for e in client.iter_executions(job_id)]
            ['Completed']
        """
        return self._each(
            self._client.iter_executions(
                job_id,
                namespace=namespace,
                version=version,
                all_versions=all_versions,
                order_by=order_by,
                reverse=reverse,
            )
        )

    def iter_history(
        self,
        job_id: str,
        *,
        namespace: str = "",
        level: EventLevel = "all",
        execution_id: str = "",
        version: int = 0,
        all_versions: bool = False,
        since: int = 0,
    ) -> Iterator[JobHistory]:
        """Yield what has happened to a job so far, oldest first. `level` "job" leaves out its executions, "execution"
        leaves out the job; `since` is in Unix seconds. Raises NotFound.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> [row.event.message for row in client.iter_history(job_id, level="job")][0]
            'Job submitted'
        """
        return self._each(
            self._client.iter_history(
                job_id,
                namespace=namespace,
                level=level,
                execution_id=execution_id,
                version=version,
                all_versions=all_versions,
                since=since,
            )
        )

    def iter_nodes(
        self,
        *,
        labels: str = "",
        approval: Literal["APPROVED", "PENDING", "REJECTED"] | None = None,
        status: Literal["CONNECTED", "DISCONNECTED"] | None = None,
        order_by: NodeOrder = "id",
        reverse: bool = False,
    ) -> Iterator[NodeState]:
        """Yield the nodes that ever joined. `labels` is a selector; `approval` and `status` leave out the others.

        Examples:
            >>> [node.info.node_id == node_id for node in client.iter_nodes(status="CONNECTED")]
            [True]
        """
        return self._each(
            self._client.iter_nodes(labels=labels, approval=approval, status=status, order_by=order_by, reverse=reverse)
        )

    def iter_events(
        self, job_id: str = "", *, namespace: str = "", level: EventLevel = "all", since: int = 0
    ) -> Iterator[JobHistory]:
        """Yield events as they come, over restarts of the server: of one job from its beginning until it has ended, or
        without `job_id` of all jobs from now on, without end. `since` is in Unix seconds. Raises NotFound.

        Ours alone: others' servers raise NotFound.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> [row.event.message for row in client.iter_events(job_id, level="job")][0]
            'Job submitted'
        """
        return self._each(self._client.iter_events(job_id, namespace=namespace, level=level, since=since))
