"""The Python client: the verbs of the API, each one request or one stream of them.

`sync` has the same verbs without `await`.
"""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, aclosing
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bacalhau.client.endpoint import resolve_endpoint
from bacalhau.client.log_piece import LogPiece
from bacalhau.client.results import Fetch, fetch_results, writing
from bacalhau.client.transport import Endpoint, Transport, open_transport, path_part
from bacalhau.client.waiting import OnAway, patiently, watch_job
from bacalhau.lib.errors import Conflict, NotFound, TimedOut
from bacalhau.lib.wire import Model, encode
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import NodeInfo, NodeState
from bacalhau.models.node.version import BuildVersion
from bacalhau.models.text.jobfile import read_job_text
from bacalhau.models.wire.api import (
    AliveResponse,
    AuthConfigResponse,
    ConfigResponse,
    DeleteJobResponse,
    DiffJobRequest,
    DiffJobResponse,
    ExplainJobRequest,
    ExplainJobResponse,
    GetJobResponse,
    GetNodeResponse,
    ListCacheResponse,
    ListExecutionsResponse,
    ListHistoryResponse,
    ListJobsResponse,
    ListNodesResponse,
    ListProvenanceResponse,
    ListResultsResponse,
    PruneCacheRequest,
    PruneCacheResponse,
    PublishJobRequest,
    PublishJobResponse,
    PutJobRequest,
    PutJobResponse,
    PutNodeRequest,
    PutNodeResponse,
    RerunJobRequest,
    RerunJobResponse,
    StopJobRequest,
    StopJobResponse,
    StorageArea,
    StorageResponse,
)
from bacalhau.models.wire.lineage import LineageResponse
from bacalhau.models.wire.messages import Progress
from bacalhau.ports.progress import Report, ignore

OnEvent = Callable[[JobHistory | Progress], None]
"""Called for every event of a job, and for each step of an execution, as they become known."""


def job_path(job_id: str, *more: str) -> str:
    return "/".join(["/orchestrator/jobs", path_part("job", job_id), *more])


class AsyncClient:
    """`async with AsyncClient() as client`.

    `url` as http://HOST:PORT; without one it is found as the command line finds it.

    Jobs are named by id, by a unique beginning of it, or by name. Every verb raises the server's error
    (`bacalhau.lib.errors`) or Unavailable.
    """

    def __init__(self, url: str | None = None, *, endpoint: Endpoint | None = None) -> None:
        self._endpoint = endpoint or resolve_endpoint(url)
        self._stack = AsyncExitStack()
        self._open: Transport | None = None

    async def __aenter__(self) -> Self:
        self._open = await self._stack.enter_async_context(open_transport(self._endpoint))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = None
        await self._stack.aclose()

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint, with the token that this client received since it was opened, if any."""
        return self._open.endpoint if self._open else self._endpoint

    @property
    def transport(self) -> Transport:
        if self._open is None:
            raise RuntimeError("the client is not open: use `async with AsyncClient() as client`")
        return self._open

    async def submit(self, job: Job | dict[str, Any] | str, *, force: bool = False) -> str:
        """The id of the job.

        A text is a job file (YAML or JSON) of either generation. Raises BadRequest with all problems.
        """
        return (await self.put_job(_job_of(job), force=force)).job_id

    async def put_job(self, job: Job, *, force: bool = False) -> PutJobResponse:
        """Submit a job as `submit` does, and return also the evaluation's id and the server's warnings. `force` submits
        a job that did not change.
        """
        return await self.transport.tell(
            PutJobResponse, "PUT", "/orchestrator/jobs", PutJobRequest(job=job, force=force)
        )

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
            raise TimedOut(
                f"job {job_id} has not ended within {seconds:g} s", hint="it goes on; wait again, or stop it"
            ) from e

    def watch(self, job_id: str, on_away: OnAway | None = None) -> AsyncGenerator[ListHistoryResponse, None]:
        """Events and progress as they come, until nothing more can come; over restarts of the server."""
        return watch_job(self.transport, job_id, on_away)

    async def get_job(self, job_id: str, *, namespace: str = "", version: int = 0) -> Job:
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

    async def iter_history(self, job_id: str, **query: Any) -> AsyncGenerator[JobHistory, None]:
        """Everything that has happened so far, page after page; the query as for `history`."""
        token = query.pop("next_token", "")
        while True:
            page = await self.history(job_id, next_token=token, **query)
            for item in page.items:
                yield item
            if not page.items or page.next_token in ("", token):
                return
            token = page.next_token

    async def versions(self, job_id: str, *, namespace: str = "") -> tuple[Job, ...]:
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

    async def logs(self, job_id: str, follow: bool = False, **query: Any) -> AsyncGenerator[tuple[int, str], None]:
        """(1 stdout or 2 stderr, text) of the latest execution; see `log_pieces`."""
        async with aclosing(self.log_pieces(job_id, follow, **query)) as pieces:
            async for piece in pieces:
                yield piece.stream, piece.text

    async def log_pieces(self, job_id: str, follow: bool = False, **query: Any) -> AsyncGenerator[LogPiece, None]:
        """Yield what was printed so far, and with `follow` until the job ends, over restarts of the server.

        Also `execution_id`, `namespace`, `tail` (only what comes from now on), `tail_lines` (of what was printed so far
        only that many of the last lines; 0 is none), `wide` (the current execution of each partition, or node, side by
        side), `all` (every execution).
        """
        await self.get_job(job_id, namespace=query.get("namespace", ""))
        # Only who reads logs waits for the socket library to load.
        reader = import_module("bacalhau.client.logs").LogReader(self.endpoint, job_id, {**query, "follow": follow})
        async with aclosing(reader.pieces()) as pieces:
            async for piece in pieces:
                yield piece

    async def results(self, job_id: str, *, namespace: str = "") -> tuple[SpecConfig, ...]:
        """List where the published results of the completed executions are."""
        return (await self.list_results(job_id, namespace=namespace)).items

    async def list_results(self, job_id: str, *, namespace: str = "") -> ListResultsResponse:
        """List published results, and the executions whose proofs tell what is in them."""
        return await self.transport.ask(ListResultsResponse, job_path(job_id, "results"), {"namespace": namespace})

    async def provenance(self, job_id: str, **query: Any) -> ListProvenanceResponse:
        """Tell what the executions of a job read and wrote. `execution_id`, `job_version`, `namespace`, and `page` for
        one page of what one execution wrote.
        """
        return await self.transport.ask(ListProvenanceResponse, job_path(job_id, "provenance"), query)

    async def statements(self, job_id: str, **query: Any) -> AsyncGenerator[bytes, None]:
        """Yield the provenance of a job as in-toto statements in JSON Lines, one an execution, piece by piece: a
        line may have many pieces. `execution_id`, `job_version`, `namespace`.
        """
        await self.get_job(job_id, namespace=query.get("namespace", ""))
        path = job_path(job_id, "provenance")
        async with aclosing(self.transport.stream(path, {**query, "format": "intoto"})) as pieces:
            async for piece in pieces:
                yield piece

    async def get(
        self,
        job_id: str,
        output_dir: str | Path,
        raw: bool = False,
        only: str = "",
        *,
        report: Report = ignore,
        seconds: float = 0,
    ) -> Path:
        """Download and verify the results into `output_dir`, which is made where it is not there. Returns its path.

        Several results are merged, unless `raw`; `only` is a path inside the result. `seconds` limits each result, 0
        leaves it to the configuration. Raises NotFound when there are none, Conflict when a file would be replaced.
        """
        job = await self.get_job(job_id)
        found = await self.list_results(job_id)
        if not found.items:
            raise NotFound(
                "no results found",
                hint=f"job {job_id} is {job.state.state_type.value}; its output is shown by `bacalhau logs {job_id}`",
            )
        into, limit = Path(output_dir), seconds or self.endpoint.downloads.timeout
        if not into.exists():
            with writing(into):
                into.mkdir(parents=True)
        fetch = Fetch(job.id, into, self.endpoint, raw=raw, only=only, seconds=limit)
        return await bring_results(self, job.id, found, fetch, report)

    async def nodes(self, **query: Any) -> tuple[NodeState, ...]:
        """`labels` (a selector), `limit`, `next_token`, `order_by`, `reverse`, `filter-approval`, `filter-status`."""
        return (await self.list_nodes(**query)).nodes

    async def list_nodes(self, **query: Any) -> ListNodesResponse:
        """One page; the query as for `nodes`."""
        return await self.transport.ask(ListNodesResponse, "/orchestrator/nodes", query)

    async def node(self, node_id: str) -> NodeState:
        return (await self.transport.ask(GetNodeResponse, f"/orchestrator/nodes/{path_part('node', node_id)}")).node

    async def change_node(
        self,
        node_id: str,
        action: str,
        *,
        message: str = "",
        deadline: int | None = None,
        labels: Mapping[str, str | None] | None = None,
    ) -> None:
        """`action` is approve, reject or delete, or of ours cordon, uncordon, drain or labels.

        `deadline` (seconds) belongs to drain, `labels` to labels: None takes one away. Raises NotFound, Conflict when
        it is so already.
        """
        body = PutNodeRequest(
            action=action,
            message=message,
            node_id=node_id,
            deadline=deadline,
            labels=dict(labels) if labels is not None else None,
        )
        answer = await self.transport.tell(
            PutNodeResponse, "PUT", f"/orchestrator/nodes/{path_part('node', node_id)}", body
        )
        if not answer.success:
            raise Conflict(answer.error or f"the server did not {action} node {node_id}")

    async def approve(self, node_id: str, message: str = "") -> None:
        await self.change_node(node_id, "approve", message=message)

    async def reject(self, node_id: str, message: str = "") -> None:
        await self.change_node(node_id, "reject", message=message)

    async def delete_node(self, node_id: str, message: str = "") -> None:
        await self.change_node(node_id, "delete", message=message)

    async def cordon(self, node_id: str, message: str = "") -> None:
        """Cordon a node, so that it gets no new work."""
        await self.change_node(node_id, "cordon", message=message)

    async def uncordon(self, node_id: str, message: str = "") -> None:
        await self.change_node(node_id, "uncordon", message=message)

    async def drain(self, node_id: str, message: str = "", *, deadline: int | None = None) -> None:
        """Move a node's work away; what may finish there has `deadline` seconds."""
        await self.change_node(node_id, "drain", message=message, deadline=deadline)

    async def label_node(self, node_id: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node; None takes one away."""
        await self.change_node(node_id, "labels", labels=labels)

    async def alive(self) -> AliveResponse:
        return await self.transport.ask(AliveResponse, "/agent/alive")

    async def version(self) -> BuildVersion:
        """Return the version of the server."""
        return await self.transport.ask(BuildVersion, "/agent/version")

    async def storage(self) -> tuple[StorageArea, ...]:
        """Tell what the process behind the API keeps on its disk, by area."""
        return (await self.transport.ask(StorageResponse, "/agent/storage")).items

    async def cached_inputs(self, **query: Any) -> ListCacheResponse:
        """List what the node behind the API keeps of inputs; `limit`, `next_token`."""
        return await self.transport.ask(ListCacheResponse, "/agent/cache", query)

    async def prune_cache(self, *, most: int | None = None, unused_for: int = 0) -> PruneCacheResponse:
        """Remove inputs that no task uses from the node behind the API: those that were not used for so many seconds,
        and the oldest until `most` bytes are left.
        """
        body = PruneCacheRequest(most=most, unused_for=unused_for)
        return await self.transport.tell(PruneCacheResponse, "PUT", "/agent/cache/prune", body)

    async def config(self) -> dict[str, Any]:
        """The server's effective configuration, without secrets."""
        return (await self.transport.ask(ConfigResponse, "/agent/config")).config

    async def sign_in(self) -> AuthConfigResponse:
        """Return the identity provider that the server trusts, if any."""
        return await self.transport.ask(AuthConfigResponse, "/agent/authconfig")

    async def own_node(self) -> NodeInfo:
        """Return the node that serves the API."""
        return await self.transport.ask(NodeInfo, "/agent/node")


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


async def bring_results(
    client: AsyncClient, job_id: str, results: ListResultsResponse, fetch: Fetch, report: Report
) -> Path:
    """Download the results of a job, and compare them with what was written. Returns the directory they are in."""

    def ask(execution_id: str, page: int) -> Coroutine[Any, Any, ListProvenanceResponse]:
        return client.provenance(job_id, execution_id=execution_id, page=page)

    return await fetch_results(results.items, fetch._replace(executions=results.executions, ask=ask), report)
