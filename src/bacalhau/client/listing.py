"""The verbs that go through everything of a kind, page after page: jobs, executions, nodes, history and events."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal, TypeVar

from bacalhau.client.following import follow_events
from bacalhau.client.jobs import JobVerbs
from bacalhau.client.paths import job_path
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.node.node import NodeState
from bacalhau.models.wire.api import ListNodesResponse

T = TypeVar("T")
Page = tuple[Sequence[T], str]
JobOrder = Literal["created_at", "modified_at", "id"]
ExecutionOrder = Literal["created_at", "modified_at", "id", "state"]
EventLevel = Literal["all", "job", "execution"]
NodeOrder = Literal[
    "id", "type", "available_cpu", "available_memory", "available_disk", "available_gpu", "approval", "status"
]
PAGE = 200


class ListVerbs(JobVerbs):
    """Verbs that list everything of a kind, page after page."""

    async def iter_jobs(
        self,
        *,
        namespace: str = "",
        labels: str = "",
        order_by: JobOrder = "created_at",
        reverse: bool = False,
    ) -> AsyncGenerator[Job, None]:
        """Yield the jobs of a namespace ("" is the client's, "*" all), oldest first, as they are when their page is
        read. `labels` is a selector, such as `env=test,team in (a,b)`.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> [job.name async for job in client.iter_jobs(labels="kind=example")]
            ['sleeper']
        """

        async def read(token: str) -> Page[Job]:
            query = {"namespace": namespace, "labels": labels, "order_by": order_by, "reverse": reverse}
            page = await self.list_jobs(**query, limit=PAGE, next_token=token)
            return page.items, page.next_token

        async for job in _all(read):
            yield job

    async def iter_executions(
        self,
        job_id: str,
        *,
        namespace: str = "",
        version: int = 0,
        all_versions: bool = False,
        order_by: ExecutionOrder = "created_at",
        reverse: bool = False,
    ) -> AsyncGenerator[Execution, None]:
        """Yield the executions of the latest version of a job, of `version`, or of all versions. Raises NotFound.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> job = client.wait(job_id, timeout=60)
            >>> [e.state.label async for e in client.iter_executions(job_id)]
            ['Completed']
        """

        async def read(token: str) -> Page[Execution]:
            query = {"namespace": namespace, "job_version": version, "all_job_versions": all_versions}
            order = {"order_by": order_by, "reverse": reverse, "limit": PAGE, "next_token": token}
            page = await self.list_executions(job_id, **query, **order)
            return page.items, page.next_token

        async for execution in _all(read):
            yield execution

    async def iter_history(
        self,
        job_id: str,
        *,
        namespace: str = "",
        level: EventLevel = "all",
        execution_id: str = "",
        version: int = 0,
        all_versions: bool = False,
        since: int = 0,
    ) -> AsyncGenerator[JobHistory, None]:
        """Yield what has happened to a job so far, oldest first. `level` "job" leaves out its executions, "execution"
        leaves out the job; `since` is in Unix seconds. Raises NotFound.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> [row.event.message async for row in client.iter_history(job_id, level="job")][0]
            'Job submitted'
        """

        async def read(token: str) -> Page[JobHistory]:
            query = {"namespace": namespace, "job_version": version, "all_job_versions": all_versions, "since": since}
            event = {"event_type": level, "execution_id": execution_id, "next_token": token}
            page = await self.history(job_id, **query, **event)
            return page.items, page.next_token

        async for row in _all(read):
            yield row

    async def iter_nodes(
        self,
        *,
        labels: str = "",
        approval: Literal["APPROVED", "PENDING", "REJECTED"] | None = None,
        status: Literal["CONNECTED", "DISCONNECTED"] | None = None,
        order_by: NodeOrder = "id",
        reverse: bool = False,
    ) -> AsyncGenerator[NodeState, None]:
        """Yield the nodes that ever joined. `labels` is a selector; `approval` and `status` leave out the others.

        Examples:
            >>> [node.info.node_id == node_id async for node in client.iter_nodes(status="CONNECTED")]
            [True]
        """

        async def read(token: str) -> Page[NodeState]:
            query = {"labels": labels, "filter-approval": approval, "filter-status": status, "next_token": token}
            page = await self._list_nodes(query | {"order_by": order_by, "reverse": reverse})
            return page.nodes, page.next_token

        async for node in _all(read):
            yield node

    async def iter_events(
        self, job_id: str = "", *, namespace: str = "", level: EventLevel = "all", since: int = 0
    ) -> AsyncGenerator[JobHistory, None]:
        """Yield events as they come, over restarts of the server: of one job from its beginning until it has ended, or
        without `job_id` of all jobs from now on, without end. `since` is in Unix seconds. Raises NotFound.

        Ours alone: others' servers raise NotFound.

        Examples:
            >>> job_id = client.submit(sleeper, force=True)
            >>> [row.event.message async for row in client.iter_events(job_id, level="job")][0]
            'Job submitted'
        """
        query = {"namespace": namespace, "event_type": level, "since": since}
        path = job_path(job_id, "events") if job_id else "/orchestrator/events"
        async with aclosing(follow_events(self.transport, path, query)) as rows:
            async for row in rows:
                yield row

    async def _list_nodes(self, query: dict[str, Any]) -> ListNodesResponse:
        return await self.transport.ask(ListNodesResponse, "/orchestrator/nodes", query)


async def _all(read: Callable[[str], Awaitable[Page[T]]]) -> AsyncGenerator[T, None]:
    """Yield the items of all pages; `read` is given the token of a page, "" for the first."""
    token = ""
    while True:
        items, following = await read(token)
        for item in items:
            yield item
        if not items or following in ("", token):
            return
        token = following
