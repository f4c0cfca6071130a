"""The orchestrator's memory on SQLite: the port's methods, each one transaction or one query.

What the rows look like is left to the modules of the things themselves.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.lib.ids import is_full_id
from bacalhau.lib.wire import encode
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.models.job.submission import Submission
from bacalhau.models.node.node import NodeState
from bacalhau.models.wire.lineage import LineageReader
from bacalhau.ports.figures import OpenCounts
from bacalhau.ports.store import (
    ALL,
    ExecutionPage,
    Found,
    HistoryCursor,
    HistoryQuery,
    InventoryDraft,
    JobQuery,
    Limits,
    PendingMessage,
    StoredEvent,
    Swept,
)
from bacalhau.store import executions, history, jobs, nodes, outbox, retention
from bacalhau.store.database import Housed, Lane
from bacalhau.store.drafts import new_draft
from bacalhau.store.jobs import COMPONENT, DEFAULT_NAMESPACE, HIGHEST
from bacalhau.store.paging import SLICE
from bacalhau.store.statement import Row, Statement


class SqliteStore(Housed):
    """Implements `ports.store.Store` in the database file `path`. Opening raises Conflict or Unavailable."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "sqlite", COMPONENT)

    async def find_job(self, id_or_name: str, namespace: str = "") -> Job:
        params = {"text": id_or_name, "namespace": namespace or DEFAULT_NAMESPACE}
        found = await self._database.read("find_job", params, jobs.read_jobs)
        if not found and id_or_name and not is_full_id(id_or_name):
            found = await self._database.read(
                "find_jobs_by_prefix", {"low": id_or_name, "high": id_or_name + HIGHEST}, jobs.read_jobs
            )
        if len(found) > 1:
            raise Conflict(
                f"multiple jobs found for id {id_or_name}",
                hint="Use full job ID",
                component=COMPONENT,
                code="MultipleJobsFound",
            )
        if not found:
            raise NotFound(f"job not found: {id_or_name}", component=COMPONENT)
        return found[0]

    async def list_jobs(self, query: JobQuery) -> list[Job]:
        lane: Lane = "points" if 0 < query.limit <= SLICE else "lists"
        return await self._database.read_whole(partial(jobs.load_page, query), lane)

    async def number_jobs(self, query: JobQuery) -> list[int]:
        return await self._database.read_whole(partial(jobs.find_numbers, query), "lists")

    async def load_jobs(self, namespace: str, numbers: Sequence[int]) -> list[Job]:
        return await self._database.read_whole(partial(jobs.load_numbered, namespace, numbers), "lists")

    async def list_open_jobs(self) -> list[Job]:
        return await self._database.read_whole(jobs.load_open, "lists")

    async def get_job_version(self, job_id: str, version: int) -> Job:
        found = await self._database.read("get_job_version", {"job_id": job_id, "version": version}, jobs.read_jobs)
        if not found:
            hint = "`bacalhau job versions` lists those that are kept"
            raise NotFound(f"job version {version} not found for job {job_id}", hint=hint, component=COMPONENT)
        return found[0]

    async def list_job_versions(self, job_id: str) -> list[Job]:
        return await self._database.read("list_job_versions", {"job_id": job_id}, jobs.read_jobs, "lists")

    async def list_readers(self, job_id: str, limit: int) -> list[LineageReader]:
        return await self._database.read("list_readers", {"source": job_id, "limit": limit}, jobs.read_readers, "lists")

    async def find_submission(self, namespace: str, token: str) -> Submission | None:
        params = {"namespace": namespace, "token": token}
        return await self._database.read("find_submission", params, partial(jobs.read_submission, namespace, token))

    async def find_results(self, keys: Sequence[str]) -> list[tuple[str, Execution]]:
        return await self._database.read(
            "find_results", {"keys": encode(list(keys)).decode()}, executions.read_results, "lists"
        )

    async def list_executions(self, job_id: str, job_version: int, page: ExecutionPage = ALL) -> list[Execution]:
        lane: Lane = "points" if executions.is_short(page) else "lists"
        return await self._database.read_whole(partial(executions.load_page, job_id, job_version, page), lane)

    async def number_executions(self, job_id: str, job_version: int, page: ExecutionPage = ALL) -> list[int]:
        return await self._database.read_whole(partial(executions.find_numbers, job_id, job_version, page), "lists")

    async def load_executions(self, job_id: str, numbers: Sequence[int]) -> list[Execution]:
        return await self._database.read_whole(partial(executions.load_numbered, job_id, numbers), "lists")

    async def find_executions(self, job_id: str, prefix: str) -> Found:
        params = executions.find_params(job_id, prefix)
        return await self._database.read("find_executions", params, executions.read_found)

    async def list_live_executions(self) -> list[Execution]:
        return await self._database.read_whole(executions.load_live, "lists")

    async def count_open(self) -> OpenCounts:
        found = await self._database.read("count_open_jobs", {}, _as_counts, "lists")
        live = await self._database.read("count_live_executions", {}, _as_counts, "lists")
        return OpenCounts(found, {ComputeStateType(int(state)).label: count for state, count in live.items()})

    async def load_views(self, job_ids: list[str]) -> dict[str, JobView]:
        return await self._database.read_whole(partial(executions.load_views, job_ids), "views")

    async def load_execution(self, execution_id: str) -> tuple[Execution, Job]:
        found = await self._database.read("load_execution", {"id": execution_id}, executions.read_with_job)
        if found is None:
            raise NotFound(f"execution not found: {execution_id}", component=COMPONENT)
        return found

    async def list_history(self, query: HistoryQuery) -> list[JobHistory]:
        lane: Lane = "points" if history.is_short(query) else "lists"
        make = partial(history.read_history, query.job_id)
        return await self._database.read("list_history", history.history_params(query), make, lane)

    async def list_events(self, after: HistoryCursor, limit: int) -> list[StoredEvent]:
        return await self._database.read("list_events", after._asdict() | {"limit": limit}, history.read_events)

    async def apply(self, change: Change) -> list[int]:
        rows = await self._database.apply(tuple(_statements(change, now_ns())))
        return [seq for (seq,) in rows]

    async def list_messages(self, node_id: str, after_seq: int, limit: int) -> list[PendingMessage]:
        params = {"node_id": node_id, "after_seq": after_seq, "limit": limit or -1}
        return await self._database.read("list_messages", params, outbox.read_messages)

    async def drop_messages(self, seqs: list[int]) -> None:
        await self._database.apply(outbox.delete_messages(seqs))

    async def put_dead_letter(self, source: str, reason: str, body: bytes) -> None:
        await self._database.apply((outbox.insert_dead_letter(source, reason, body, now_ns()),))

    async def list_expired_jobs(self, limits: Limits, count: int) -> list[str]:
        params = retention.limit_params(limits, count)
        return await self._database.read("list_expired_jobs", params, retention.read_ids, "lists")

    async def forget_jobs(self, job_ids: Sequence[str]) -> None:
        await self._database.apply(retention.delete_jobs(job_ids))

    async def sweep_forgotten(self, count: int) -> tuple[Swept, bool]:
        if not await self._any_forgotten():
            return Swept([], []), False
        gone = retention.read_swept(await self._database.apply(retention.sweep(count)))
        return gone, await self._any_forgotten()

    async def _any_forgotten(self) -> bool:
        return await self._database.read("any_forgotten", {}, bool)

    async def list_large_versions(self, job_ids: Sequence[str], size: int) -> list[Job]:
        params = {"ids": encode(list(job_ids)).decode(), "size": size}
        return await self._database.read("list_large_versions", params, jobs.read_jobs, "lists")

    def draft_inventory(self) -> AbstractAsyncContextManager[InventoryDraft]:
        return new_draft()

    async def list_inventories(self, job_ids: Sequence[str]) -> list[str]:
        params = {"ids": encode(list(job_ids)).decode()}
        return await self._database.read("list_inventories", params, retention.read_ids, "lists")

    async def list_open_inventories(self) -> list[str]:
        return await self._database.read("list_open_inventories", {}, retention.read_ids, "lists")

    async def list_reused_content(self) -> list[str]:
        return await self._database.read("list_reused_content", {}, retention.read_ids, "lists")

    async def list_published_content(self, besides: str) -> list[str]:
        return await self._database.read("list_published_content", {"job": besides}, retention.read_ids, "lists")

    async def list_long_jobs(self, executions: Limits, history: Limits, versions: Limits) -> list[str]:
        params = retention.long_params(executions, history, versions)
        return await self._database.read("list_long_jobs", params, retention.read_ids, "lists")

    async def forget_executions(self, job_id: str, execution_ids: Sequence[str]) -> Swept:
        return retention.read_swept(await self._database.apply(retention.delete_executions(job_id, execution_ids)))

    async def forget_history(self, job_id: str, keep: int, count: int) -> int:
        return len(await self._database.apply((retention.delete_history(job_id, keep, count),)))

    async def forget_versions(self, job_id: str, keep: int) -> None:
        await self._database.apply((retention.delete_versions(job_id, keep),))

    async def forget_messages_to_strangers(self) -> None:
        await self._database.apply((Statement("forget_messages_to_strangers", {}),))

    async def forget_dead_letters(self, limits: Limits, count: int) -> int:
        return len(await self._database.apply((retention.delete_dead_letters(limits, count),)))

    async def list_nodes(self) -> list[NodeState]:
        return await self._database.read("list_nodes", {}, nodes.read_nodes)

    async def put_node(self, node: NodeState, secret: str) -> None:
        await self._database.apply((nodes.put_node(node, secret),))

    async def find_node(self, node_id: str) -> NodeState | None:
        found = await self._database.read("get_node", {"id": node_id}, nodes.read_nodes)
        return found[0] if found else None

    async def delete_node(self, node_id: str) -> None:
        await self._database.apply(nodes.delete_node(node_id))

    async def node_secret(self, node_id: str) -> str:
        return await self._database.read("get_node_secret", {"id": node_id}, _first_text)


def _first_text(rows: list[Row]) -> str:
    return str(rows[0][0]) if rows else ""


def _statements(change: Change, now: int) -> Iterator[Statement]:
    """List the writes of a change. Guards come first, so that a conflict costs little; executions end before others
    begin in their place.
    """
    yield from map(jobs.insert_job, change.new_jobs)
    yield from map(jobs.update_job, change.jobs)
    yield from map(jobs.insert_submission, change.submissions)
    for job in (*change.new_jobs, *change.jobs):
        yield from jobs.note_readers(job)
    yield from map(jobs.note_reuse_key, change.reuse_keys)
    yield from map(executions.update_execution, change.executions)
    yield from map(executions.insert_execution, change.new_executions)
    yield from history.insert_history(change.history, now)
    yield from map(outbox.insert_message, change.messages)


def _as_counts(rows: list[Row]) -> dict[str, int]:
    return {str(state): int(count) for state, count in rows}
