"""Jobs and their versions as statements and queries."""

from collections.abc import Iterator, Sequence
from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import decode, encode
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.models.job.reuse import ReuseKey
from bacalhau.models.job.submission import Submission
from bacalhau.models.job.taken import taking_inputs
from bacalhau.models.wire.lineage import LineageReader
from bacalhau.ports.store import JobQuery
from bacalhau.store.database import Snapshot
from bacalhau.store.paging import find_rows, load_list, load_rows, page_terms
from bacalhau.store.statement import Row, Statement, catalogue

COMPONENT = "JobStore"
DEFAULT_NAMESPACE = "default"
EVERY_NAMESPACE = ("", "*")
HIGHEST = "\U0010ffff"
ORDERS = {"": "create_time", "created_at": "create_time", "modified_at": "modify_time", "id": "id"}


def insert_job(job: Job) -> Statement:
    return Statement("insert_job", _columns(job), 1, f"job name {job.name} already exists in namespace {job.namespace}")


def update_job(job: Job) -> Statement:
    return Statement(
        "update_job",
        _columns(job),
        1,
        f"job {job.id} is not at revision {job.revision - 1}: it was changed meanwhile, or is gone",
    )


def note_readers(job: Job) -> Iterator[Statement]:
    """Note whose results a version of a job takes; doing it twice is fine."""
    found = {(taken.job_id, taken.job_version) for _, _, params in taking_inputs(job) for taken in params.pinned}
    for source, version in sorted(found):
        params = {"source": source, "source_version": version, "id": job.id, "version": job.version}
        yield Statement("note_reader", params)


def insert_submission(made: Submission) -> Statement:
    params = {"namespace": made.namespace, "token": made.token, "digest": made.digest}
    return Statement(
        "insert_submission",
        params | {"id": made.job_id, "version": made.job_version},
        1,
        f"idempotency token {made.token} is in use in namespace {made.namespace}",
    )


def read_submission(namespace: str, token: str, rows: list[Row]) -> Submission | None:
    for digest, job_id, version in rows:
        return Submission(namespace=namespace, token=token, digest=digest, job_id=job_id, job_version=version)
    return None


def note_reuse_key(key: ReuseKey) -> Statement:
    params = {"id": key.job_id, "version": key.job_version, "partition": str(key.partition), "key": key.key}
    return Statement("note_reuse_key", params)


def read_readers(rows: list[Row]) -> list[LineageReader]:
    return [
        LineageReader(job_id=job_id, job_version=version, source_version=of, name=name, namespace=namespace)
        for job_id, version, of, name, namespace in rows
    ]


def _columns(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "namespace": job.namespace,
        "version": job.version,
        "revision": job.revision,
        "is_open": not job.is_done,
        "everywhere": job.type in EVERYWHERE,
        "create_time": job.create_time,
        "modify_time": job.modify_time,
        "body": encode(job),
    }


def read_jobs(rows: list[Row]) -> list[Job]:
    return [decode(body, Job) for (body,) in rows]


def list_jobs(query: JobQuery) -> tuple[str, dict[str, Any]]:
    """SQL and parameters that give the numbers of a page of jobs."""
    column = ORDERS.get(query.order_by)
    if column is None:
        raise BadRequest(
            f"cannot order jobs by {query.order_by}", hint="Use created_at, modified_at or id.", component=COMPONENT
        )
    terms = page_terms(column, "id", query.reverse, query.after)
    where = terms.where if query.namespace in EVERY_NAMESPACE else f"namespace = :namespace and {terms.where}"
    text = catalogue()["list_jobs"].format(where=where, order=terms.order)
    return text, {"limit": query.limit or -1, "namespace": query.namespace} | terms.params


def load_page(query: JobQuery, snapshot: Snapshot) -> list[Job]:
    return load_list(snapshot, *list_jobs(query), "load_jobs", Job)


def find_numbers(query: JobQuery, snapshot: Snapshot) -> list[int]:
    return find_rows(snapshot, *list_jobs(query))


def load_numbered(namespace: str, numbers: Sequence[int], snapshot: Snapshot) -> list[Job]:
    """Read jobs of a namespace. The number of a job that is gone may be that of a new one by now."""
    found = load_rows(snapshot, "load_jobs", list(numbers), Job)
    return found if namespace in EVERY_NAMESPACE else [job for job in found if job.namespace == namespace]


def load_open(snapshot: Snapshot) -> list[Job]:
    return load_list(snapshot, catalogue()["list_open_jobs"], {}, "load_jobs", Job)
