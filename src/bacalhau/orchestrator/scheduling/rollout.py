"""Decisions which executions of an older version end now: at once for what ends by itself anyway, step by step for
services and daemons.

A step stops a fifth of the executions at most, less those that an earlier step stopped and whose successors do not run
yet: they wait for room, or their inputs and image are not there. So a version that cannot begin takes no more than one
step of the service down, one that fails no more than it takes to see that, and one that no node could ever take
nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.models.job.retry import NODE_LOST
from bacalhau.models.job.selector import match_labels
from bacalhau.models.node.node import CONNECTED
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.place import explain, find_shortage, needed_resources
from bacalhau.orchestrator.scheduling.retry import is_failure
from bacalhau.orchestrator.scheduling.steps import UPDATED, Context, find_all_bars
from bacalhau.orchestrator.scheduling.view import SECOND, Slot, slot_of

PAUSE_NS = SECOND  # between two steps, so that a version that fails at once is seen to fail
ANOTHER_LOOK = 30 * SECOND  # while no node can run the new version: one may join
PARTS = 5  # a roll-out takes so many steps
LARGEST_STEP = 20
TOLERATED = 10  # one in so many may fail
Latest = Mapping[Slot, Execution]


class Rollout(NamedTuple):
    """`stay` runs on for now; `next_evaluation` (Unix ns) is the next step. `held_up`: why there is none."""

    stop: tuple[Execution, ...]
    stay: tuple[Execution, ...] = ()
    next_evaluation: int = 0
    held_up: str = ""


def decide_rollout(view: JobView, around: Context) -> Rollout:
    """Choose the live executions of older versions that stop now.

    While the new version fails (`_count_failing`), or no node could take it, the old one runs on where it still does.
    """
    job, outdated, candidates, now = view.job, view.outdated, around.candidates, around.now
    if job.type not in LONG_RUNNING or not outdated:
        return Rollout(tuple(outdated))
    current = view.current()
    surplus = tuple(e for e in outdated if _is_surplus(job, e, candidates))
    rest = sorted((e for e in outdated if e not in surplus), key=lambda e: (e.partition_index, e.create_time, e.id))
    next_step = max((e.create_time + PAUSE_NS for e in current), default=0)
    total = len(rest) + sum(e.is_live for e in current)
    step = min(LARGEST_STEP, max(1, total // PARTS))
    latest = _find_latest(job, current)
    if not rest:
        return Rollout(surplus)
    if failing := _count_failing(latest, total, step):
        return _held_up(surplus, rest, f"version {job.version} fails in {failing} of {len(latest)} places")
    if reason := _find_impossible(view, around):
        held_up = _held_up(surplus, rest, f"no node can run version {job.version}: {reason}")
        return held_up._replace(next_evaluation=now + ANOTHER_LOOK)
    if next_step > now:
        return Rollout(surplus, tuple(rest), next_step)
    may = max(0, step - _count_waiting(view, latest, around))
    return Rollout(surplus + tuple(rest[:may]), tuple(rest[may:]), now + PAUSE_NS if rest[may:] else 0)


def _held_up(surplus: tuple[Execution, ...], rest: Sequence[Execution], why: str) -> Rollout:
    text = f"{why}, so the roll-out is held up and what ran before runs on in {len(rest)}"
    return Rollout(surplus, tuple(rest), held_up=text)


def _find_impossible(view: JobView, around: Context) -> str:
    """Say why no known node could ever take the new version of a service; "" when one could."""
    if view.job.type != "service":
        return ""
    shortage = find_shortage(view.job, needed_resources(view.job), around.candidates, find_all_bars(view, around))
    return explain(view.job, shortage) if shortage.is_hopeless else ""


def _find_latest(job: Job, executions: Sequence[Execution]) -> Latest:
    return {slot_of(e, job.type): e for e in sorted(executions, key=lambda e: (e.create_time, e.modify_time))}


def _count_waiting(view: JobView, latest: Latest, around: Context) -> int:
    """Count the slots that are empty because of the roll-out, and those in which the new version does not run yet."""
    job = view.job
    preparing = sum(e.is_live and around.is_preparing(job.id, e.id) for e in latest.values())
    ended = (e for e in _find_latest(job, view.executions).values() if e.compute_state.message == UPDATED)
    return preparing + sum(not e.is_live and _is_wanted(job, e, around.candidates) for e in ended)


def _is_wanted(job: Job, execution: Execution, candidates: Candidates) -> bool:
    """Tell whether something of the new version can be expected in the slot of an execution."""
    if _is_surplus(job, execution, candidates):
        return False
    candidate = candidates.by_id.get(execution.node_id)
    is_open = candidate and not candidate.node.cordoned and candidate.node.connection_state.status == CONNECTED
    return job.type == "service" or bool(is_open)


def _is_surplus(job: Job, execution: Execution, candidates: Candidates) -> bool:
    """Nothing of the new version takes its place."""
    if job.type == "service":
        return execution.partition_index >= job.wanted
    candidate = candidates.by_id.get(execution.node_id)
    return candidate is not None and bool(match_labels(job.constraints or (), candidate.node.info.labels or {}))


def _count_failing(latest: Latest, total: int, step: int) -> int:
    """Count the places in which the new version fails, where it is itself to blame: everywhere where it was started,
    once that is a whole step, or on more than a tenth of all partitions or nodes. Otherwise 0.

    One broken node of many so holds nobody up, but of fewer than ten each counts. Executions that went down with their
    node, or whose node could not reach its engine, say nothing about the version.
    """
    failing = sum(is_failure(e) and e.failure_kind != NODE_LOST for e in latest.values())
    return failing if failing * TOLERATED > total or (failing == len(latest) and failing >= step) else 0
