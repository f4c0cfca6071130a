"""The ended executions that nobody needs any more: neither a scheduler, to decide what comes next, nor who asks for
results.
"""

from collections.abc import Iterable, Set

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.models.job.retry import RetryPolicy
from bacalhau.orchestrator.scheduling.retry import REFUSAL_HOLDS_NS, is_failure
from bacalhau.ports.store import Limits

SATURATED = 10  # failures: after so many, pauses do not grow any more


def list_spent(view: JobView, limits: Limits, node_ids: Set[str], now: int) -> list[Execution]:
    """List the ended executions that ended before `limits.before`, or are not among the `limits.keep` newest.

    `node_ids` are known nodes.
    """
    ended = sorted((e for e in view.executions if not e.is_live), key=lambda e: e.modify_time)
    surplus = len(ended) - limits.keep if limits.keep else 0
    over = [e for at, e in enumerate(ended) if at < surplus or e.modify_time < limits.before]
    needed = _needed(view.job, ended, node_ids, now)
    return [e for e in over if e.id not in needed]


def _needed(job: Job, ended: Iterable[Execution], node_ids: Set[str], now: int) -> set[str]:
    current = [e for e in ended if e.job_version == job.version]
    recent = {e.id for e in ended if e.modify_time + REFUSAL_HOLDS_NS > now}  # their permits may not have run out
    if job.type == "ops":
        rolled = () if job.is_done else (e for e in ended if e.modify_time > job.submitted)  # a roll-out goes by them
        return recent | {e.id for e in (*current, *rolled)}
    if job.type == "batch":
        return recent | {e.id for e in current if e.state == ComputeStateType.COMPLETED or is_failure(e)}
    return recent | _latest(job, current, node_ids)


def _latest(job: Job, current: Iterable[Execution], node_ids: Set[str]) -> set[str]:
    """List the last execution of each partition or node, and the failures that count."""
    policy = job.task.retry or RetryPolicy()
    failures = SATURATED if policy.max is None else policy.max + 1
    rows: dict[object, list[Execution]] = {}
    for execution in current:
        rows.setdefault(execution.partition_index if job.type == "service" else execution.node_id, []).append(execution)
    wanted = range(job.wanted) if job.type == "service" else node_ids
    kept = (
        e
        for place, mine in rows.items()
        if place in wanted
        for e in (mine[-1], *[f for f in mine if is_failure(f)][-failures:])
    )
    return {e.id for e in kept}
