"""Decisions which executions of an older version end now: at once for what ends by itself anyway, step by step for
services and daemons.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.models.job.retry import NODE_LOST
from bacalhau.models.job.selector import match_labels
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.retry import is_failure
from bacalhau.orchestrator.scheduling.view import SECOND

PAUSE_NS = SECOND  # between two steps, so that a version that fails at once is seen to fail
PARTS = 5  # a roll-out takes so many steps
LARGEST_STEP = 20
TOLERATED = 10  # one in so many may fail


class Rollout(NamedTuple):
    """`stay` runs on for now; `next_evaluation` (Unix ns) is the next step."""

    stop: tuple[Execution, ...]
    stay: tuple[Execution, ...] = ()
    next_evaluation: int = 0


def decide_rollout(view: JobView, candidates: Candidates, now: int) -> Rollout:
    """Choose the live executions of older versions that stop now.

    While the new version fails (`_is_failing`), the old one runs on where it still does.
    """
    job, outdated = view.job, view.outdated
    if job.type not in LONG_RUNNING or not outdated:
        return Rollout(tuple(outdated))
    current = view.current()
    surplus = tuple(e for e in outdated if _is_surplus(job, e, candidates))
    rest = sorted((e for e in outdated if e not in surplus), key=lambda e: (e.partition_index, e.create_time, e.id))
    next_step = max((e.create_time + PAUSE_NS for e in current), default=0)
    total = len(rest) + sum(e.is_live for e in current)
    step = min(LARGEST_STEP, max(1, total // PARTS))
    if _is_failing(job, current, total, step) or not rest:
        return Rollout(surplus, tuple(rest))
    if next_step > now:
        return Rollout(surplus, tuple(rest), next_step)
    return Rollout(surplus + tuple(rest[:step]), tuple(rest[step:]), now + PAUSE_NS if rest[step:] else 0)


def _is_surplus(job: Job, execution: Execution, candidates: Candidates) -> bool:
    """Nothing of the new version takes its place."""
    if job.type == "service":
        return execution.partition_index >= job.wanted
    candidate = candidates.by_id.get(execution.node_id)
    return candidate is not None and bool(match_labels(job.constraints or (), candidate.node.info.labels or {}))


def _is_failing(job: Job, current: Sequence[Execution], total: int, step: int) -> bool:
    """Tell whether the new version itself fails: everywhere where it was started, once that is a whole step, or on more
    than a tenth of all partitions or nodes.

    One broken node of many so holds nobody up, but of fewer than ten each counts. Executions that went down with their
    node, or whose node could not reach its engine, say nothing about the version.
    """
    latest: dict[object, Execution] = {}
    for execution in sorted(current, key=lambda e: (e.create_time, e.modify_time)):
        latest[execution.partition_index if job.type == "service" else execution.node_id] = execution
    failing = sum(is_failure(e) and e.failure_kind != NODE_LOST for e in latest.values())
    return failing * TOLERATED > total or (failing == len(latest) and failing >= step)
