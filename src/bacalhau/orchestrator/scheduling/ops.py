"""Ops jobs: once on every node that matches, also on those that join while the job lives."""

from collections.abc import Sequence
from functools import partial

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.models.job.retry import NODE_LOST
from bacalhau.orchestrator.scheduling.everywhere import Say, Spread, Turn, by_node, spread, wait_for_engine
from bacalhau.orchestrator.scheduling.place import explain, explain_absence, find_cure
from bacalhau.orchestrator.scheduling.retry import decide_retry, is_failure
from bacalhau.orchestrator.scheduling.steps import Context, fail, finish, limits_of, wait_or_run
from bacalhau.orchestrator.scheduling.view import RETRYING, SECOND, Plan, earliest


def fill_ops(view: JobView, around: Context) -> Plan:
    """Plan one execution on every matching node. Only executions of this version count.

    The job is judged when nothing of any version runs, and its roll-out is over or held up.
    """
    job, current = view.job, view.current()
    nodes = by_node(current)
    found = spread(view, nodes, partial(_decide, job, around), around)
    live = bool(view.live_on)
    is_rolled_out = not around.later or around.is_held_up
    if found.plan.asks or found.plan.waiting or live or not is_rolled_out:
        return wait_or_run(job, found.plan, live, around)
    if nodes and not around.settled and not found.shortage.is_hopeless:
        return wait_or_run(job, found.plan._replace(waiting="waiting for nodes to come back"), False, around)
    if not nodes:
        return _nobody(job, found, around)
    away = next((e for e in (mine[-1] for mine in nodes.values()) if _may_come_back(e, around)), None)
    if away is not None:
        waiting = f"{RETRYING}{away.compute_state.message}"
        return wait_or_run(job, found.plan._replace(waiting=waiting), False, around)
    return _judge(job, [mine[-1] for mine in nodes.values()], around)


def _may_come_back(last: Execution, around: Context) -> bool:
    """Tell whether the node said that it has no engine: it tells when it has one again."""
    return last.found_no_engine and last.node_id in around.candidates.by_id


def _decide(job: Job, around: Context, mine: Sequence[Execution]) -> Say:
    last = mine[-1]
    if (waits := wait_for_engine(job, mine, around)) is not None:
        return waits
    if not is_failure(last) or last.failure_kind == NODE_LOST:
        return Say(
            Turn.OVER
        )  # the node has done its part, or refused it; what went down with a node is not tried again there
    verdict = decide_retry(job, [e for e in mine if is_failure(e)])
    if verdict.give_up:
        return Say(Turn.OVER)
    return (
        Say(Turn.WAIT, f"{RETRYING}{last.compute_state.message}", verdict.not_before)
        if verdict.not_before > around.now
        else Say(Turn.START)
    )


def _nobody(job: Job, found: Spread, around: Context) -> Plan:
    """No node matches, or none that does is there."""
    away = not found.shortage.is_hopeless
    if around.settled and not away and not limits_of(job).queue_timeout:
        return fail(job, (), explain(job, found.shortage), find_cure(job, around.candidates), around.now)
    next_evaluation = 0 if around.settled else around.now + SECOND
    return wait_or_run(
        job,
        found.plan._replace(
            waiting=explain_absence(found.shortage),
            next_evaluation=earliest(found.plan.next_evaluation, next_evaluation),
        ),
        False,
        around,
    )


def _judge(job: Job, last: Sequence[Execution], around: Context) -> Plan:
    """`last`: how it ended on each node."""
    now = around.now
    failed = [e for e in last if is_failure(e)]
    if failed:
        worst = min(failed, key=lambda e: (e.modify_time, e.id))
        count = f"{len(failed)} of {len(last)} executions failed: " if len(last) > 1 else ""
        text = f"{count}{worst.compute_state.message}"
        if around.later:
            text += f"; version {job.version} was not started on {len(around.later)} more nodes"
        return fail(job, (), text, (worst.compute_state.details or {}).get("Hint", ""), now)
    if any(e.state == ComputeStateType.COMPLETED for e in last):
        return finish(job, now)
    return fail(job, (), f"no node took it: {last[-1].compute_state.message}", "see `bacalhau job executions`", now)
