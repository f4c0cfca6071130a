"""Forgetting what is over, as statements: a few jobs at a time, so that nobody waits long behind it."""

from collections.abc import Sequence

from bacalhau.lib.wire import encode
from bacalhau.ports.store import Limits, PendingMessage, Swept
from bacalhau.store.statement import Row, Statement, Transaction

EVERYTHING = 1 << 62
_SWEEP = ("sweep_history", "sweep_versions", "tell_swept", "sweep_executions", "sweep_forgotten")
_FORGET = ("forget_history_of_executions", "tell_some_executions", "forget_some_executions")


def limit_params(limits: Limits, count: int) -> dict[str, int]:
    return {"before": limits.before, "keep": limits.keep or EVERYTHING, "limit": count}


def delete_jobs(job_ids: Sequence[str]) -> Transaction:
    ids = encode(list(job_ids)).decode()
    return tuple(Statement(name, {"ids": ids}) for name in ("mark_forgotten", "forget_jobs"))


def sweep(count: int) -> Transaction:
    return tuple(Statement(name, {"limit": count}) for name in _SWEEP)


def long_params(executions: Limits, history: Limits, versions: Limits) -> dict[str, int]:
    keep = {"keep": executions.keep, "keep_history": history.keep, "keep_versions": versions.keep}
    return {"before": executions.before} | {name: count or EVERYTHING for name, count in keep.items()}


def delete_executions(job_id: str, execution_ids: Sequence[str]) -> Transaction:
    params = {"job_id": job_id, "ids": encode(list(execution_ids)).decode()}
    return tuple(Statement(name, params) for name in _FORGET)


def delete_history(job_id: str, keep: int, count: int) -> Statement:
    return Statement("forget_old_history", {"job_id": job_id, "keep": keep, "limit": count})


def delete_versions(job_id: str, keep: int) -> Statement:
    return Statement("forget_old_versions", {"job_id": job_id, "keep": keep})


def delete_dead_letters(limits: Limits, count: int) -> Statement:
    return Statement("forget_dead_letters", limit_params(limits, count))


def read_swept(rows: list[Row]) -> Swept:
    """Read what went: rows of two columns are executions with the root of their proof, the others are messages."""
    gone = [(row[0], row[1]) for row in rows if len(row) == 2]
    proofs = tuple((execution_id, root) for execution_id, root in gone if root)
    return Swept([row[0] for row in gone], [PendingMessage(*row) for row in rows if len(row) > 2], proofs)


def read_ids(rows: list[Row]) -> list[str]:
    return [text for (text,) in rows]
