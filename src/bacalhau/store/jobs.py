"""Jobs and their versions as statements and queries."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import decode, encode
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.ports.store import JobQuery
from bacalhau.store.statement import Row, Statement, catalogue

COMPONENT = "JobStore"
DEFAULT_NAMESPACE = "default"
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


def read_concatenated(text: str | None, kind: Callable[..., Any]) -> Any:
    """The models of a `group_concat` of bodies; none for NULL."""
    return msgspec.json.decode(f"[{text}]", type=kind) if text else []


def list_jobs(query: JobQuery) -> tuple[str, dict[str, Any]]:
    """SQL and parameters. Equal times are told apart by id, so that pages never overlap."""
    everywhere = query.namespace in ("", "*")
    params = {"limit": query.limit or -1, "offset": query.offset, "namespace": query.namespace}
    return _list_jobs_text(query.order_by, query.reverse, everywhere), params


@cache
def _list_jobs_text(order_by: str, reverse: bool, everywhere: bool) -> str:
    column = ORDERS.get(order_by)
    if column is None:
        raise BadRequest(
            f"cannot order jobs by {order_by}", hint="Use created_at, modified_at or id.", component=COMPONENT
        )
    direction = "desc" if reverse else "asc"
    order = ", ".join(f"{name} {direction}" for name in dict.fromkeys((column, "id")))
    return catalogue()["list_jobs"].format(where="true" if everywhere else "namespace = :namespace", order=order)
