"""The events of jobs and executions, numbered from 1 in each job; the numbers are given by the database."""

from collections.abc import Iterable, Iterator
from typing import Any

from bacalhau.lib.clock import rfc3339
from bacalhau.lib.wire import decode, encode
from bacalhau.models.execution.event import Event, JobHistory
from bacalhau.models.execution.plan import HistoryEntry
from bacalhau.ports.store import HistoryCursor, HistoryQuery, StoredEvent
from bacalhau.store.paging import SLICE
from bacalhau.store.statement import Row, Statement


def insert_history(entries: Iterable[HistoryEntry], now: int) -> Iterator[Statement]:
    """Write events in their order, those of one job with one statement."""
    by_job: dict[str, list[tuple[int, str, Event]]] = {}
    for entry in entries:
        by_job.setdefault(entry.job_id, []).append((entry.job_version, entry.execution_id, entry.event))
    for job_id, mine in by_job.items():
        params = {"job_id": job_id, "time": now, "entries": encode(mine).decode()}
        yield Statement("insert_history", params, len(mine), f"job not found: {job_id}")


def history_params(query: HistoryQuery) -> dict[str, Any]:
    return query._asdict() | {"since": query.since * 1_000_000_000, "limit": query.limit or -1}


def is_short(query: HistoryQuery) -> bool:
    """Tell whether a page is read without a walk over events that it does not show."""
    return 0 < query.limit <= SLICE and not (query.execution_id or query.level or query.since)


def read_history(job_id: str, rows: list[Row]) -> list[JobHistory]:
    return [_read(job_id, *row) for row in rows]


def read_events(rows: list[Row]) -> list[StoredEvent]:
    return [
        StoredEvent(HistoryCursor(time, job, seq), namespace, _read(job_id, seq, version, execution_id, time, event))
        for time, job, seq, namespace, job_id, version, execution_id, event in rows
    ]


def _read(job_id: str, seq: int, version: int, execution_id: str, time: int, event: bytes) -> JobHistory:
    return JobHistory(
        seq_num=seq,
        type="ExecutionLevel" if execution_id else "JobLevel",
        job_id=job_id,
        job_version=version,
        execution_id=execution_id,
        event=decode(event, Event),
        time=rfc3339(time),
    )
