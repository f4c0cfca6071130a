"""Decisions which executions of an older version end now: at once for a batch job, whose older results nobody wants any
more, and step by step for services, daemons and ops jobs.

A step reaches a fifth of the places at most (partitions; nodes for ops and daemon jobs), less those that an earlier
step reached and in which the new version does not run yet: it waits for room, or its inputs and image are not there. So
a version that cannot begin takes no more than one step of the job down, one that fails no more than it takes to see
that, and one that no node could ever take nothing.

In each place the old execution ends before the new one starts. Together they might not have the room, the ports or the
GPUs, and of two attempts in one place only one may publish.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from bacalhau.models.execution.event import Topic
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.models.job.retry import NODE_LOST
from bacalhau.models.job.selector import match_labels
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import CONNECTED
from bacalhau.orchestrator.scheduling.place import explain, find_able, find_shortage, needed_resources
from bacalhau.orchestrator.scheduling.retry import STABLE_NS, is_failure
from bacalhau.orchestrator.scheduling.steps import UPDATED, Context, find_all_bars, job_event
from bacalhau.orchestrator.scheduling.view import SECOND, Plan, Slot, earliest, slot_of

PAUSE_NS = SECOND  # between two steps, so that a version that fails at once is seen to fail
ANOTHER_LOOK = 30 * SECOND  # while no node can run the new version: one may join
PARTS = 5  # a roll-out takes so many steps
LARGEST_STEP = 20
TOLERATED = 10  # one in so many may fail
HELD_UP = "so the roll-out is held up"


class Rollout(NamedTuple):
    """`later` are the places that the new version does not reach yet; `next_evaluation` (Unix ns) is the next step.
    `held_up`: why there is none.
    """

    stop: tuple[Execution, ...]
    later: frozenset[Slot] = frozenset()
    next_evaluation: int = 0
    held_up: str = ""


class Places(NamedTuple):
    """The places of a job in a roll-out. `attempts` are those of the new version, oldest first, `latest` the last one
    of any version. `able` are the nodes that could ever take the new version of an ops or daemon job.
    """

    view: JobView
    around: Context
    attempts: Mapping[Slot, Sequence[Execution]]
    latest: Mapping[Slot, Execution]
    able: Set[str]


class Failing(NamedTuple):
    """The number of places in which a version fails, and until when (Unix ns) that counts at least."""

    number: int
    until: int = 0


def decide_rollout(view: JobView, around: Context) -> Rollout:
    """Choose the places that the new version reaches now, and stop what runs there.

    While the new version fails (`_find_failing`), or no node could take it, the old one runs on where it still does.
    """
    job, outdated = view.job, view.outdated
    if job.type == "batch" or not (outdated or (job.type == "ops" and job.version > 1)):
        return Rollout(tuple(outdated))
    places = _find_places(view, around)
    rest = _list_rest(places)
    if not rest and not outdated:
        return Rollout(())
    if reason := _find_impossible(places):
        return _hold_impossible(places, reason)
    surplus = tuple(e for e in outdated if _is_surplus(job, e, around))
    total = len(rest) + len(places.attempts)
    step = min(LARGEST_STEP, max(1, total // PARTS))
    failing = _find_failing(places, total, step)
    if rest and failing.number:
        why = f"version {job.version} fails in {failing.number} of {len(places.attempts)} places"
        return _hold_up(job, surplus, rest, why, failing.until)
    return _take_step(places, surplus, rest, step)


def _take_step(places: Places, surplus: tuple[Execution, ...], rest: Sequence[Execution], step: int) -> Rollout:
    job, now = places.view.job, places.around.now
    next_step = max((mine[-1].create_time + PAUSE_NS for mine in places.attempts.values()), default=0)
    if next_step > now:
        return Rollout(surplus, _slots_of(job, rest), next_step if rest else 0)
    may = max(0, step - _count_waiting(places)) if rest else 0
    stop = tuple(e for e in rest[:may] if e.is_live)
    return Rollout(surplus + stop, _slots_of(job, rest[may:]), now + PAUSE_NS if rest[may:] else 0)


def _hold_impossible(places: Places, reason: str) -> Rollout:
    """Stop nothing while no node could ever take the new version. Where nothing runs on, the scheduler of the job's
    type judges.
    """
    job, around, live = places.view.job, places.around, places.view.outdated
    if not live:
        return Rollout(())
    if not around.settled:
        return Rollout((), _slots_of(job, live), around.now + SECOND)
    why = f"no node can run version {job.version}: {reason}"
    return _hold_up(job, (), live, why, around.now + ANOTHER_LOOK)


def _hold_up(
    job: Job, surplus: tuple[Execution, ...], rest: Sequence[Execution], why: str, next_evaluation: int
) -> Rollout:
    live = sum(e.is_live for e in rest)
    text = f"{why}, {HELD_UP} and what ran before runs on in {live}"
    if len(rest) > live:
        text += f"; {len(rest) - live} more wait for it"
    return Rollout(surplus, _slots_of(job, rest), next_evaluation, text)


def _slots_of(job: Job, executions: Iterable[Execution]) -> frozenset[Slot]:
    return frozenset(slot_of(e, job.type) for e in executions)


def _find_places(view: JobView, around: Context) -> Places:
    job, latest = view.job, dict[Slot, Execution]()
    attempts: dict[Slot, list[Execution]] = {}
    for execution in sorted(view.executions, key=lambda e: (e.create_time, e.modify_time)):
        slot = slot_of(execution, job.type)
        latest[slot] = execution
        if execution.job_version == job.version:
            attempts.setdefault(slot, []).append(execution)
    able = find_able(job, needed_resources(job), around.candidates) if job.type in EVERYWHERE else frozenset[str]()
    return Places(view, around, attempts, latest, able)


def _list_rest(places: Places) -> list[Execution]:
    """List the last executions of the places that the new version has not reached, in the order of its steps."""
    job = places.view.job
    rest = [e for e in places.view.outdated if not _is_surplus(job, e, places.around)]
    if job.type == "ops":
        rest += (e for e in places.latest.values() if _has_ended_meanwhile(job, e) and _is_wanted(places, e))
    return sorted(rest, key=lambda e: (e.partition_index, e.create_time, e.id))


def _has_ended_meanwhile(job: Job, execution: Execution) -> bool:
    """Tell whether an execution of an older version ran when the new one was submitted, and has ended by itself."""
    is_old = execution.job_version != job.version and not execution.is_live
    return is_old and execution.modify_time > job.submitted and execution.compute_state.message != UPDATED


def _find_impossible(places: Places) -> str:
    """Say why no known node could ever take the new version; "" when one could."""
    view, around = places.view, places.around
    if places.able:
        return ""
    shortage = (
        find_shortage(view.job, needed_resources(view.job), around.candidates)
        if view.job.type in EVERYWHERE
        else find_shortage(view.job, needed_resources(view.job), around.candidates, find_all_bars(view, around))
    )
    return explain(view.job, shortage) if shortage.is_hopeless else ""


def _count_waiting(places: Places) -> int:
    """Count the places that are empty because of the roll-out, and those in which the new version does not run yet."""
    job, around = places.view.job, places.around
    last = (mine[-1] for mine in places.attempts.values())
    preparing = sum(e.is_live and around.is_preparing(job.id, e.id) for e in last)
    ended = (e for e in places.latest.values() if e.compute_state.message == UPDATED and not e.is_live)
    return preparing + sum(_is_wanted(places, e) for e in ended)


def _is_wanted(places: Places, execution: Execution) -> bool:
    """Tell whether something of the new version can be expected in the place of an execution."""
    job, around = places.view.job, places.around
    if job.type == "service":
        return not _is_surplus(job, execution, around)
    node_id = execution.node_id
    candidate = around.candidates.by_id.get(node_id) if node_id in places.able else None
    return bool(candidate and not candidate.node.cordoned and candidate.node.connection_state.status == CONNECTED)


def _is_surplus(job: Job, execution: Execution, around: Context) -> bool:
    """Tell whether a job wants nothing in the place of an execution any more: fewer partitions, or other nodes."""
    if job.type == "service":
        return execution.partition_index >= job.wanted
    candidate = around.candidates.by_id.get(execution.node_id)
    return candidate is not None and bool(match_labels(job.constraints or (), candidate.node.info.labels or {}))


def _find_failing(places: Places, total: int, step: int) -> Failing:
    """Count the places in which the new version fails, where it is itself to blame: everywhere where it was started,
    once that is a whole step, or on more than a tenth of all partitions or nodes.

    One broken node of many so holds nobody up, but of fewer than ten each counts. Executions that went down with their
    node, or whose node could not reach its engine, say nothing about the version.
    """
    now = places.around.now
    times = [until for mine in places.attempts.values() if (until := _fails_until(mine, now)) is not None]
    count = len(times)
    if count * TOLERATED > total or (count == len(places.attempts) and count >= step):
        return Failing(count, earliest(*times))
    return Failing(0)


def _fails_until(mine: Sequence[Execution], now: int) -> int | None:
    """Return until when (Unix ns) a place counts as one in which the version fails, 0 where no time alone changes that;
    None where it does not fail. A new attempt must first run for longer than the one that failed.
    """
    last = mine[-1]
    if not last.is_live:
        return 0 if _is_at_fault(last) else None
    failed = next((e for e in reversed(mine[:-1]) if _is_at_fault(e)), None)
    if failed is None:
        return None
    until = last.create_time + min(failed.modify_time - failed.create_time, STABLE_NS) + PAUSE_NS
    return until if until > now else None


def _is_at_fault(execution: Execution) -> bool:
    return is_failure(execution) and execution.failure_kind != NODE_LOST


def announce(job: Job, plan: Plan, held_up: str, now: int) -> Plan:
    """Tell in the job's state and history that its roll-out is held up, and why, or that it goes on again."""
    after = plan.job or job
    told = after.state.message
    if after.state.state_type != JobStateType.RUNNING or told == held_up or not (held_up or HELD_UP in told):
        return plan
    new = job.moved(JobStateType.RUNNING, now, held_up)
    is_news = bool(held_up) != (HELD_UP in told)
    text = f"Roll-out held up. {held_up}" if held_up else "Roll-out goes on"
    history = job_event(new, text, Topic.STATE_UPDATE, now) if is_news else ()
    return plan._replace(job=new, history=plan.history + history)
