"""Executions as statements and queries. A row does not hold the execution's job: that is kept once, with
its version.
"""

from typing import Any

from msgspec.structs import replace

from bacalhau.lib.wire import decode, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.store.jobs import read_concatenated
from bacalhau.store.statement import Row, Statement


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


def read_views(rows: list[Row]) -> dict[str, JobView]:
    jobs, executions = rows[0]
    by_job: dict[str, list[Execution]] = {}
    for execution in read_concatenated(executions, list[Execution]):
        by_job.setdefault(execution.job_id, []).append(execution)
    return {job.id: JobView(job, tuple(by_job.get(job.id, ()))) for job in read_concatenated(jobs, list[Job])}


def read_with_jobs(rows: list[Row]) -> list[Execution]:
    """Each with the job as it was when its version began."""
    executions, versions = rows[0] if rows else (None, None)
    jobs = {job.version: job for job in read_concatenated(versions, list[Job])}
    return [
        replace(execution, job=jobs.get(execution.job_version))
        for execution in read_concatenated(executions, list[Execution])
    ]


def read_live(rows: list[Row]) -> list[Execution]:
    found: list[Execution] = read_concatenated(rows[0][0], list[Execution])
    return found


def read_with_job(rows: list[Row]) -> tuple[Execution, Job] | None:
    return (decode(rows[0][0], Execution), decode(rows[0][1], Job)) if rows else None
