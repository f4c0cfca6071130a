"""Decisions which executions must leave their node, because it was lost, rejected or deleted, or is being drained."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from bacalhau.lib.clock import from_rfc3339
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.plan import HistoryEntry
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import LONG_RUNNING
from bacalhau.models.job.retry import FAILURE_KIND, NODE_LOST
from bacalhau.models.node.node import APPROVED, Drain
from bacalhau.orchestrator.scheduling.steps import Context
from bacalhau.orchestrator.scheduling.view import SLICE, Candidate, Plan

LOST_DETAILS = {"Retryable": "true", "ErrorCode": "NodeLost", FAILURE_KIND: NODE_LOST}


class Departure(NamedTuple):
    """`is_failure`: the node took the execution down with it; otherwise it is stopped in order."""

    reason: str
    is_failure: bool


def decide_departure(
    execution: Execution, candidate: Candidate | None, job_type: str, around: Context
) -> Departure | None:
    """Decide whether and why an execution must leave its node; None when it may stay.

    Until things have settled after a start, nodes that are not back yet are not given up.

    What never reached its node has not failed: it costs no attempt. But an ops job owes that node its execution.
    """
    node, settled = short_id(execution.node_id), around.settled
    never_told = job_type != "ops" and around.is_undelivered(execution.node_id, execution.id)
    if candidate is None:
        return Departure(f"node {node} is no longer a member of the network", not never_told) if settled else None
    if candidate.node.membership != APPROVED:
        return Departure(
            f"execution was moved because node {node} has been {candidate.node.membership.lower()}", not never_told
        )
    if settled and candidate.is_lost(around.now):
        return Departure(
            f"node {node} was lost {'before it heard of' if never_told else 'while it ran'} the job", not never_told
        )
    if candidate.node.drain and is_drain_due(candidate.node.drain, job_type, around.now):
        return Departure(f"execution was moved because node {node} is being drained", False)
    return None


def is_drain_due(drain: Drain, job_type: str, now: int) -> bool:
    """Tell whether executions of such a job must leave now."""
    return job_type in LONG_RUNNING or (bool(drain.deadline) and now >= from_rfc3339(drain.deadline))


def plan_departures(view: JobView, around: Context) -> Plan:
    """End the live executions that must leave their node.

    A node that is still known is told, so that it stops them when it comes back.
    """
    now, known = around.now, around.candidates.by_id
    leaving = _list_departures(view, around)
    ended = [_ended(execution, departure, now) for execution, departure in islice(leaving, SLICE)]
    return Plan(
        updates=tuple(e for e in ended if e.node_id not in known),
        cancels=tuple(e for e in ended if e.node_id in known),
        history=tuple(_entry(e, now) for e in ended),
        is_partial=next(leaving, None) is not None,
    )


def _list_departures(view: JobView, around: Context) -> Iterator[tuple[Execution, Departure]]:
    for node_id, mine in view.live_on.items():
        candidate = around.candidates.by_id.get(node_id)
        if candidate is not None and candidate.is_well:
            continue
        for execution in mine.values():
            departure = decide_departure(execution, candidate, view.job.type, around)
            if departure is None:
                break  # it is the node that decides: no other execution there has to leave either
            yield execution, departure


def _ended(execution: Execution, departure: Departure, now: int) -> Execution:
    if departure.is_failure:
        return execution.moved(ComputeStateType.FAILED, now, departure.reason, details=LOST_DETAILS, why="node lost")
    return execution.moved(ComputeStateType.CANCELLED, now, departure.reason, why=departure.reason)


def _entry(execution: Execution, now: int) -> HistoryEntry:
    details = {"IsError": "true", "Retryable": "true"} if execution.state == ComputeStateType.FAILED else {}
    event = make_event(Topic.SCHEDULING, execution.compute_state.message, now, **details)
    return HistoryEntry(
        job_id=execution.job_id, job_version=execution.job_version, event=event, execution_id=execution.id
    )
