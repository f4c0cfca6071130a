"""The client without `await`: each verb is the asynchronous one, run on a loop in a thread of its own.

So it works in scripts and in notebooks, whose own loop is running already, and several threads may use one client. In
asynchronous code `AsyncClient` is better: a verb of this one stops the caller's loop until it has its answer. A client
belongs to the process that opened it; a process that was forked opens its own.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from bacalhau.client.client import AsyncClient, OnEvent
from bacalhau.client.log_piece import LogPiece
from bacalhau.client.unawaited import Unawaited
from bacalhau.client.waiting import OnAway
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import NodeInfo, NodeState
from bacalhau.models.node.version import BuildVersion
from bacalhau.models.wire.api import (
    AliveResponse,
    AuthConfigResponse,
    DeleteJobResponse,
    DiffJobResponse,
    ExplainJobResponse,
    GetJobResponse,
    ListCacheResponse,
    ListExecutionsResponse,
    ListHistoryResponse,
    ListJobsResponse,
    ListNodesResponse,
    ListProvenanceResponse,
    ListResultsResponse,
    PruneCacheResponse,
    PutJobResponse,
    RerunJobResponse,
    StorageArea,
)
from bacalhau.models.wire.lineage import LineageResponse
from bacalhau.ports.progress import Report, ignore

T = TypeVar("T")


class Client:
    """`with Client() as client`, or without `with` and `close()` at the end.

    The verbs are those of `AsyncClient`; so are their errors. Functions that a verb calls back (`on_event`, `on_away`,
    `report`) run in the client's own thread, and cannot use the client.
    """

    def __init__(self, url: str | None = None) -> None:
        self._client = AsyncClient(url)
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bacalhau-client", daemon=True)
        self._thread.start()
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._end_loop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the client; what other threads asked for ends. A second call does nothing, and neither does one in a
        process that was forked.
        """
        if self._fault():
            return
        self._run(_cancel_others())
        self._run(self._client.__aexit__(None, None, None))
        self._run(self._loop.shutdown_asyncgens())
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _fault(self) -> str:
        """Say why the client cannot be used; "" when it can."""
        if self._process != os.getpid():
            return "the client was opened by another process: open one in each process"
        return "the client is closed: open another one" if self._loop.is_closed() else ""

    def _run(self, work: Awaitable[T]) -> T:
        """Run the work on the loop and return its result. Raises RuntimeError where the client cannot be used."""
        fault = self._fault()
        if threading.current_thread() is self._thread:
            fault = "a function that the client calls cannot use the client: use it afterwards, or use AsyncClient"
        unawaited = Unawaited(work)
        if fault:
            unawaited.drop()
            raise RuntimeError(fault)
        return unawaited.run(self._loop)

    def submit(self, job: Job | dict[str, Any] | str, *, force: bool = False) -> str:
        return self._run(self._client.submit(job, force=force))

    def put_job(self, job: Job, *, force: bool = False) -> PutJobResponse:
        return self._run(self._client.put_job(job, force=force))

    def diff(self, job: Job | dict[str, Any] | str) -> DiffJobResponse:
        return self._run(self._client.diff(job))

    def explain(self, job: Job | dict[str, Any] | str, *, limit: int = 0, next_token: str = "") -> ExplainJobResponse:
        return self._run(self._client.explain(job, limit=limit, next_token=next_token))

    def lineage(self, job_id: str, *, namespace: str = "", version: int = 0) -> LineageResponse:
        return self._run(self._client.lineage(job_id, namespace=namespace, version=version))

    def explain_stored(
        self, job_id: str, *, namespace: str = "", limit: int = 0, next_token: str = ""
    ) -> ExplainJobResponse:
        return self._run(self._client.explain_stored(job_id, namespace=namespace, limit=limit, next_token=next_token))

    def rerun(
        self, job_id: str, *, version: int = 0, reason: str = "", same_inputs: bool = False, namespace: str = ""
    ) -> RerunJobResponse:
        return self._run(
            self._client.rerun(job_id, version=version, reason=reason, same_inputs=same_inputs, namespace=namespace)
        )

    def publish(
        self, job_id: str, publisher: SpecConfig | None = None, *, execution_id: str = "", namespace: str = ""
    ) -> tuple[Execution, ...]:
        return self._run(self._client.publish(job_id, publisher, execution_id=execution_id, namespace=namespace))

    def wait(
        self, job_id: str, timeout: float | None = None, on_event: OnEvent | None = None, on_away: OnAway | None = None
    ) -> Job:
        return self._run(self._client.wait(job_id, timeout, on_event, on_away))

    def watch(self, job_id: str, on_away: OnAway | None = None) -> Iterator[ListHistoryResponse]:
        return self._each(self._client.watch(job_id, on_away))

    def get_job(self, job_id: str, **query: Any) -> Job:
        return self._run(self._client.get_job(job_id, **query))

    def describe(self, job_id: str, **query: Any) -> GetJobResponse:
        return self._run(self._client.describe(job_id, **query))

    def list_jobs(self, **query: Any) -> ListJobsResponse:
        return self._run(self._client.list_jobs(**query))

    def executions(self, job_id: str, **query: Any) -> tuple[Execution, ...]:
        return self._run(self._client.executions(job_id, **query))

    def list_executions(self, job_id: str, **query: Any) -> ListExecutionsResponse:
        return self._run(self._client.list_executions(job_id, **query))

    def history(self, job_id: str, **query: Any) -> ListHistoryResponse:
        return self._run(self._client.history(job_id, **query))

    def versions(self, job_id: str, **query: Any) -> tuple[Job, ...]:
        return self._run(self._client.versions(job_id, **query))

    def stop(self, job_id: str, reason: str = "Stopped at user request", *, namespace: str = "") -> str:
        return self._run(self._client.stop(job_id, reason, namespace=namespace))

    def storage(self) -> tuple[StorageArea, ...]:
        return self._run(self._client.storage())

    def delete(self, job_id: str, *, namespace: str = "") -> DeleteJobResponse:
        return self._run(self._client.delete(job_id, namespace=namespace))

    def logs(self, job_id: str, follow: bool = False, **query: Any) -> Iterator[tuple[int, str]]:
        """Ends the request when the iterator is closed."""
        return self._each(self._client.logs(job_id, follow, **query))

    def log_pieces(self, job_id: str, follow: bool = False, **query: Any) -> Iterator[LogPiece]:
        """Ends the request when the iterator is closed."""
        return self._each(self._client.log_pieces(job_id, follow, **query))

    def iter_history(self, job_id: str, **query: Any) -> Iterator[JobHistory]:
        return self._each(self._client.iter_history(job_id, **query))

    def _each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        try:
            while (item := self._run(anext(items, None))) is not None:
                yield item
        finally:
            if not self._fault() and threading.current_thread() is not self._thread:
                self._run(items.aclose())

    def results(self, job_id: str, **query: Any) -> tuple[SpecConfig, ...]:
        return self._run(self._client.results(job_id, **query))

    def list_results(self, job_id: str, **query: Any) -> ListResultsResponse:
        return self._run(self._client.list_results(job_id, **query))

    def provenance(self, job_id: str, **query: Any) -> ListProvenanceResponse:
        return self._run(self._client.provenance(job_id, **query))

    def statements(self, job_id: str, **query: Any) -> Iterator[bytes]:
        return self._each(self._client.statements(job_id, **query))

    def get(
        self,
        job_id: str,
        output_dir: str | Path,
        raw: bool = False,
        only: str = "",
        *,
        report: Report = ignore,
        seconds: float = 0,
    ) -> Path:
        return self._run(self._client.get(job_id, output_dir, raw, only, report=report, seconds=seconds))

    def change_node(
        self,
        node_id: str,
        action: str,
        *,
        message: str = "",
        deadline: int | None = None,
        labels: Mapping[str, str | None] | None = None,
    ) -> None:
        self._run(self._client.change_node(node_id, action, message=message, deadline=deadline, labels=labels))

    def approve(self, node_id: str, message: str = "") -> None:
        self._run(self._client.approve(node_id, message))

    def reject(self, node_id: str, message: str = "") -> None:
        self._run(self._client.reject(node_id, message))

    def delete_node(self, node_id: str, message: str = "") -> None:
        self._run(self._client.delete_node(node_id, message))

    def cordon(self, node_id: str, message: str = "") -> None:
        self._run(self._client.cordon(node_id, message))

    def uncordon(self, node_id: str, message: str = "") -> None:
        self._run(self._client.uncordon(node_id, message))

    def drain(self, node_id: str, message: str = "", *, deadline: int | None = None) -> None:
        self._run(self._client.drain(node_id, message, deadline=deadline))

    def label_node(self, node_id: str, labels: Mapping[str, str | None]) -> None:
        self._run(self._client.label_node(node_id, labels))

    def nodes(self, **query: Any) -> tuple[NodeState, ...]:
        return self._run(self._client.nodes(**query))

    def list_nodes(self, **query: Any) -> ListNodesResponse:
        return self._run(self._client.list_nodes(**query))

    def node(self, node_id: str) -> NodeState:
        return self._run(self._client.node(node_id))

    def alive(self) -> AliveResponse:
        return self._run(self._client.alive())

    def version(self) -> BuildVersion:
        return self._run(self._client.version())

    def cached_inputs(self, **query: Any) -> ListCacheResponse:
        return self._run(self._client.cached_inputs(**query))

    def prune_cache(self, *, most: int | None = None, unused_for: int = 0) -> PruneCacheResponse:
        return self._run(self._client.prune_cache(most=most, unused_for=unused_for))

    def config(self) -> dict[str, Any]:
        return self._run(self._client.config())

    def sign_in(self) -> AuthConfigResponse:
        return self._run(self._client.sign_in())

    def own_node(self) -> NodeInfo:
        return self._run(self._client.own_node())


async def _cancel_others() -> None:
    """Cancel what runs on the loop, and wait until it has ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
