"""Partitions that need a node: what batch and service have in common."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import Topic
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.retry import FAILURE_KIND, TIMEOUT
from bacalhau.orchestrator.scheduling.place import (
    explain,
    explain_waiting,
    find_cure,
    find_shortage,
    needed_resources,
    place,
)
from bacalhau.orchestrator.scheduling.retry import decide_retry, list_away, list_refusals, refusal_holds
from bacalhau.orchestrator.scheduling.steps import (
    Context,
    fail,
    find_all_bars,
    limits_of,
    nearness_of,
    new_execution,
    wait_or_run,
)
from bacalhau.orchestrator.scheduling.view import FENCED, RETRYING, SECOND, SLICE, TURN, Plan, Shortage, earliest


class Due(NamedTuple):
    """The waits of open partitions that may not be tried now; `late` are their numbers."""

    late: set[int]
    waiting: str = ""
    next_evaluation: int = 0
    give_up: str = ""
    hint: str = ""
    topic: Topic = Topic.STATE_UPDATE


def place_open(view: JobView, around: Context) -> Plan:
    """Start as many open partitions as there is room for now, a slice at most."""
    job, tally = view.job, view.tally
    due = _decide_due(view, around)
    if due.give_up:
        return fail(job, view.live_current(), due.give_up, due.hint, around.now, topic=due.topic)
    has_live, need, bars = bool(view.live_on), needed_resources(job), find_all_bars(view, around)
    near = nearness_of(job, around)
    asks: list[Execution] = []
    plan = Plan(waiting=due.waiting, next_evaluation=due.next_evaluation)
    most = min(n for n in (around.most, around.allowance.most(need), SLICE) if n is not None)
    with around.candidates.trial():
        left = _first_open(view, due.late, most + 1 + len(around.foretold))
        while left:
            if len(asks) == most:
                return wait_or_run(job, _limited(plan._replace(asks=tuple(asks)), need, around), has_live, around)
            if asks:
                around.candidates.take(asks[-1].node_id, need, job.task.static_ports)
            node_id = place(job, need, around.candidates, tally.failures_on, bars, near)
            if not node_id:  # partitions are alike: what does not fit now does not fit for the next one either
                shortage = find_shortage(job, need, around.candidates, bars)
                break
            left.remove(index := _choose(left, node_id, around.foretold))
            asks.append(new_execution(job, index, node_id, need, around))
        else:
            return wait_or_run(job, plan._replace(asks=tuple(asks)), has_live, around)
    may_wait = limits_of(job).queue_timeout or tally.away or view.outdated
    if shortage.is_hopeless and around.settled and not may_wait:
        text = _hopeless(view, shortage)
        return fail(job, view.live_current(), text, find_cure(job, around.candidates), around.now)
    plan = plan._replace(
        asks=tuple(asks),
        waiting=explain_waiting(shortage),
        next_evaluation=earliest(plan.next_evaluation, _next_evaluation(view, shortage, around)),
    )
    return wait_or_run(job, plan, has_live, around)


def _first_open(view: JobView, late: set[int], most: int) -> list[int]:
    """List the first open partitions that may be tried now."""
    return list(islice((index for index in view.tally.open_partitions() if index not in late), most))


def _choose(left: Sequence[int], node_id: str, foretold: Mapping[str, int]) -> int:
    """Choose the partition that a node starts: its own, whose inputs it may have by now; else the first that is no
    other node's, or the first of all.
    """
    if foretold.get(node_id) in left:
        return foretold[node_id]
    others = set(foretold.values())
    return next((index for index in left if index not in others), left[0])


def _limited(plan: Plan, need: Resources, around: Context) -> Plan:
    """Say why no more of the job starts now, although there may be room: because of its quota, because it is another
    job's turn, or only because the plan is large enough.
    """
    started = len(plan.asks)
    if started == around.allowance.most(need):
        return plan._replace(waiting=around.allowance.explain(need, started))
    if started == around.most:
        return plan._replace(waiting=f"{TURN}: other jobs that wait for room come before its next partition")
    return plan._replace(is_partial=True)


def _decide_due(view: JobView, around: Context) -> Due:
    due, now = Due(set()), around.now
    for index in view.tally.reopened():
        failed = _in_order(view.tally.failed.get(index, {}))
        verdict = decide_retry(view.job, failed)
        if verdict.give_up:
            late = (failed[-1].compute_state.details or {}).get(FAILURE_KIND) == TIMEOUT
            return due._replace(
                give_up=verdict.give_up, hint=verdict.hint, topic=Topic.JOB_TIMEOUT if late else Topic.STATE_UPDATE
            )
        if verdict.not_before > now:
            text = f"{RETRYING}{failed[-1].compute_state.message}"
            due = due._replace(waiting=text, next_evaluation=earliest(due.next_evaluation, verdict.not_before))
            due.late.add(index)
        elif (until := around.fence.until(index, was_used=True)) > now:
            due = due._replace(waiting=FENCED, next_evaluation=earliest(due.next_evaluation, until))
            due.late.add(index)
    return due


def _in_order(failed: Mapping[str, Execution]) -> list[Execution]:
    return sorted(failed.values(), key=lambda e: e.modify_time)


def _hopeless(view: JobView, shortage: Shortage) -> str:
    """Say why nobody takes the job: an error that happened tells more than that nobody is left."""
    text = explain(view.job, shortage)
    failed = _in_order({name: e for mine in view.tally.failed.values() for name, e in mine.items()})
    return f"{failed[-1].compute_state.message} (on {short_id(failed[-1].node_id)}; then {text})" if failed else text


def _next_evaluation(view: JobView, shortage: Shortage, around: Context) -> int:
    """Return when what stands against the job may change by time alone: Unix ns, 0 for never."""
    kind = view.job.type
    refused = list_refusals(kind, view.tally.refused.values(), around.now)
    asked = (e.modify_time + refusal_holds(kind) for e in refused.values())
    soon = around.now + SECOND if shortage.is_hopeless and not around.settled else 0
    found = list_away(view.tally.away.values(), around.tell_return(view.job))
    away = (until for _, until in found.values() if until > around.now)
    return earliest(soon, *asked, *away)
