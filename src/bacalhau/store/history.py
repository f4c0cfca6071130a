"""The events of jobs and executions, numbered from 1 in each job; the numbers are given by the database."""

from typing import Any

from bacalhau.lib.clock import rfc3339
from bacalhau.lib.wire import decode, encode
from bacalhau.models.execution.event import Event, JobHistory
from bacalhau.models.execution.plan import HistoryEntry
from bacalhau.ports.store import HistoryCursor, HistoryQuery, StoredEvent
from bacalhau.store.paging import SLICE
from bacalhau.store.statement import Row, Statement


def insert_history(entry: HistoryEntry, now: int) -> Statement:
    columns = {
        "job_id": entry.job_id,
        "job_version": entry.job_version,
        "execution_id": entry.execution_id,
        "time": now,
        "event": encode(entry.event),
    }
    return Statement("insert_history", columns, 1, f"job not found: {entry.job_id}")


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
