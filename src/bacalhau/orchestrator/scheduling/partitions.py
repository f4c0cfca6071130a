"""Partitions that need a node: what batch and service have in common."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import Topic
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.retry import FAILURE_KIND, TIMEOUT
from bacalhau.orchestrator.scheduling.place import (
    explain,
    explain_waiting,
    find_cure,
    is_hopeless,
    list_refusals_of_nodes,
    needed_resources,
    place,
)
from bacalhau.orchestrator.scheduling.retry import decide_retry, is_failure, list_refusals, refusal_holds
from bacalhau.orchestrator.scheduling.steps import Context, fail, find_bars, limits_of, new_execution, wait_or_run
from bacalhau.orchestrator.scheduling.view import RETRYING, SECOND, Plan, Refusal, earliest


class Due(NamedTuple):
    """Open partitions that may be tried now, and what the others wait for."""

    indices: list[int]
    waiting: str = ""
    next_evaluation: int = 0
    give_up: str = ""
    hint: str = ""
    topic: Topic = Topic.STATE_UPDATE


def by_partition(executions: Iterable[Execution]) -> dict[int, list[Execution]]:
    found: dict[int, list[Execution]] = {}
    for execution in executions:
        found.setdefault(execution.partition_index, []).append(execution)
    return found


def failures_in_order(executions: Iterable[Execution]) -> list[Execution]:
    return sorted((e for e in executions if is_failure(e)), key=lambda e: e.modify_time)


def place_open(
    job: Job,
    current: Sequence[Execution],
    open_partitions: dict[int, list[Execution]],
    around: Context,
    *,
    is_served: bool = False,
) -> Plan:
    """`open_partitions`: by index, the failures of each partition that has no live execution.

    `is_served`: by an older version.
    """
    live = [e for e in current if e.is_live]
    due = _decide_due(job, open_partitions, around.now)
    if due.give_up:
        return fail(job, live, due.give_up, due.hint, around.now, topic=due.topic)
    need, bars = needed_resources(job), find_bars(job, current, around)
    failures = Counter(e.node_id for e in current if is_failure(e))
    asks: list[Execution] = []
    plan = Plan(waiting=due.waiting, next_evaluation=due.next_evaluation)
    with around.candidates.trial():
        for index in due.indices:
            node_id = place(job, need, around.candidates, failures, bars, around.holders.held)
            if not node_id:  # partitions are alike: what does not fit now does not fit for the next one either
                refusals = list_refusals_of_nodes(job, need, around.candidates, bars)
                break
            asks.append(new_execution(job, index, node_id, need, around))
            around.candidates.take(node_id, need, job.task.static_ports)
        else:
            return wait_or_run(job, plan._replace(asks=tuple(asks)), is_served or bool(live), around)
    if is_hopeless(refusals) and around.settled and not limits_of(job).queue_timeout:
        return fail(job, live, _hopeless(job, current, refusals), find_cure(job, around.candidates), around.now)
    plan = plan._replace(
        asks=tuple(asks),
        waiting=explain_waiting(refusals),
        next_evaluation=earliest(plan.next_evaluation, _next_evaluation(job, current, refusals, around)),
    )
    return wait_or_run(job, plan, is_served or bool(live), around)


def _decide_due(job: Job, open_partitions: dict[int, list[Execution]], now: int) -> Due:
    due = Due([])
    for index, failed in open_partitions.items():
        verdict = decide_retry(job, failed)
        if verdict.give_up:
            late = (failed[-1].compute_state.details or {}).get(FAILURE_KIND) == TIMEOUT
            return due._replace(
                give_up=verdict.give_up, hint=verdict.hint, topic=Topic.JOB_TIMEOUT if late else Topic.STATE_UPDATE
            )
        if verdict.not_before > now:
            text = f"{RETRYING}{failed[-1].compute_state.message}"
            due = due._replace(waiting=text, next_evaluation=earliest(due.next_evaluation, verdict.not_before))
        else:
            due.indices.append(index)
    return due


def _hopeless(job: Job, current: Sequence[Execution], refusals: Sequence[Refusal]) -> str:
    """An error that happened tells more than that nobody is left."""
    text = explain(job, refusals)
    failed = failures_in_order(current)
    return f"{failed[-1].compute_state.message} (on {short_id(failed[-1].node_id)}; then {text})" if failed else text


def _next_evaluation(job: Job, current: Sequence[Execution], refusals: Sequence[Refusal], around: Context) -> int:
    """When what stands against the job may change by time alone."""
    asked = (e.modify_time + refusal_holds(job.type) for e in list_refusals(job.type, current, around.now).values())
    soon = around.now + SECOND if is_hopeless(refusals) and not around.settled else 0
    return earliest(soon, *asked)
