"""Executions as statements and queries. A row does not hold the execution's job: that is kept once, with
its version.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from bacalhau.lib.wire import decode, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.ports.store import ORDERS, ExecutionPage, Found
from bacalhau.store.database import Snapshot
from bacalhau.store.jobs import HIGHEST
from bacalhau.store.paging import (
    SLICE,
    find_rows,
    load_list,
    load_rows,
    page_terms,
    read_concatenated,
    read_numbers,
    slices,
)
from bacalhau.store.statement import Row, Statement, catalogue

_MODIFIED = "json_extract(cast(e.body as text), '$.ModifyTime')"
_STATE = "json_extract(cast(e.body as text), '$.ComputeState.StateType')"
_COLUMNS = {"create_time": "e.create_time", "modify_time": _MODIFIED, "id": "e.id", "state": _STATE}


def insert_execution(execution: Execution) -> Statement:
    return Statement(
        "insert_execution",
        _columns(execution),
        1,
        f"execution {execution.id} cannot begin: it exists, or another one is live in its place, or job"
        f" {execution.job_id} is not open at version {execution.job_version}",
    )


def update_execution(execution: Execution) -> Statement:
    text = f"execution {execution.id} is not at revision {execution.revision - 1}: it was changed meanwhile, or is gone"
    return Statement("update_execution", _columns(execution), 1, text)


def _columns(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "job_id": execution.job_id,
        "job_version": execution.job_version,
        "revision": execution.revision,
        "is_live": execution.is_live,
        "create_time": execution.create_time,
        "node_id": execution.node_id,
        "partition_index": execution.partition_index,
        "body": encode(execution if execution.job is None else replace(execution, job=None)),
    }


def load_views(job_ids: list[str], snapshot: Snapshot) -> dict[str, JobView]:
    views: dict[str, JobView] = {}
    for some in slices(job_ids):
        jobs, numbers = snapshot.rows("load_views", {"ids": encode(some).decode()})[0]
        by_job: dict[str, list[Execution]] = {}
        for execution in load_rows(snapshot, "load_executions", read_numbers(numbers), Execution):
            by_job.setdefault(execution.job_id, []).append(execution)
        views |= {job.id: JobView(job, tuple(by_job.get(job.id, ()))) for job in read_concatenated(jobs, Job)}
    return views


def list_executions(job_id: str, version: int, page: ExecutionPage) -> tuple[str, dict[str, Any]]:
    """SQL and parameters that give the numbers of a page of executions."""
    terms = page_terms(_COLUMNS[ORDERS[page.order_by]], "e.id", page.reverse, page.after)
    where = f"{terms.where} and e.id >= :low and e.id < :high" if page.prefix else terms.where
    params = {"job_id": job_id, "version": version, "limit": page.limit or -1, **_span(page.prefix)}
    return catalogue()["list_executions"].format(where=where, order=terms.order), params | terms.params


def load_page(job_id: str, version: int, page: ExecutionPage, snapshot: Snapshot) -> list[Execution]:
    """Read executions, each with the job as it was when its version began."""
    return load_numbered(job_id, find_rows(snapshot, *list_executions(job_id, version, page)), snapshot)


def find_numbers(job_id: str, version: int, page: ExecutionPage, snapshot: Snapshot) -> list[int]:
    return find_rows(snapshot, *list_executions(job_id, version, page))


def load_numbered(job_id: str, numbers: Sequence[int], snapshot: Snapshot) -> list[Execution]:
    """Read executions of one job, each with the job as it was when its version began. The number of one that is gone
    may be that of another job's by now.
    """
    read = load_rows(snapshot, "load_executions", list(numbers), Execution)
    found = [execution for execution in read if execution.job_id == job_id]
    versions = encode(sorted({execution.job_version for execution in found})).decode()
    first = snapshot.rows("load_first_states", {"job_id": job_id, "versions": versions})[0][0]
    jobs = {job.version: job for job in read_concatenated(first, Job)}
    return [replace(execution, job=jobs.get(execution.job_version)) for execution in found]


def is_short(page: ExecutionPage) -> bool:
    """Tell whether a page is read without a walk over all executions of its job."""
    return 0 < page.limit <= SLICE and ORDERS[page.order_by] == "create_time" and not page.prefix


def load_live(snapshot: Snapshot) -> list[Execution]:
    return load_list(snapshot, catalogue()["list_live_executions"], {}, "load_executions", Execution)


def find_params(job_id: str, prefix: str) -> dict[str, str]:
    return {"job_id": job_id, **_span(prefix)}


def _span(prefix: str) -> dict[str, str]:
    return {"low": prefix, "high": prefix + HIGHEST}


def read_found(rows: list[Row]) -> Found:
    return Found(*map(bool, rows[0])) if rows else Found(False, False)


def read_results(rows: list[Row]) -> list[tuple[str, Execution]]:
    return [(key, decode(body, Execution)) for key, body in rows]


def read_with_job(rows: list[Row]) -> tuple[Execution, Job] | None:
    return (decode(rows[0][0], Execution), decode(rows[0][1], Job)) if rows else None
