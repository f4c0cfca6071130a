"""Daemon jobs: always running on every node that matches, also on those that join or come to match later."""

from collections.abc import Sequence
from functools import partial

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.models.job.selector import match_labels
from bacalhau.orchestrator.scheduling.everywhere import Say, Turn, by_node, spread, wait_for_engine
from bacalhau.orchestrator.scheduling.place import explain_absence
from bacalhau.orchestrator.scheduling.retry import SHORT_REFUSAL_NS, decide_retry, is_failure
from bacalhau.orchestrator.scheduling.steps import Context, stop_all, wait_or_run
from bacalhau.orchestrator.scheduling.view import RETRYING, Plan


def fill_daemon(view: JobView, around: Context) -> Plan:
    """Plan one execution on every matching node, for ever. On a node whose labels match no more it is stopped."""
    job, current, outdated = view.job, view.current(), view.outdated
    astray = [e for e in current if e.is_live and _has_strayed(job, e, around)]
    stopped = stop_all(astray, "Execution stopped because the node's labels no longer match", around.now)
    ended = {e.id: e for e in stopped.cancels}
    nodes = by_node([ended.get(e.id, e) for e in current])
    found = spread(view, nodes, partial(_decide, job, around), around)
    plan, live = found.plan, any(e.is_live for mine in nodes.values() for e in mine)
    if not (plan.asks or plan.waiting or live or outdated):
        plan = plan._replace(waiting=explain_absence(found.shortage))
    plan = wait_or_run(job, plan, live or bool(outdated), around)
    return plan._replace(
        cancels=stopped.cancels,
        history=stopped.history + plan.history,
        is_partial=plan.is_partial or stopped.is_partial,
    )


def _has_strayed(job: Job, execution: Execution, around: Context) -> bool:
    candidate = around.candidates.by_id.get(execution.node_id)
    return candidate is not None and bool(match_labels(job.constraints or (), candidate.node.info.labels or {}))


def _decide(job: Job, around: Context, mine: Sequence[Execution]) -> Say:
    last = mine[-1]
    if last.is_live:
        return Say(Turn.OVER)
    if (waits := wait_for_engine(job, mine, around)) is not None:
        return waits
    if last.state == ComputeStateType.ASK_FOR_BID_REJECTED and last.modify_time + SHORT_REFUSAL_NS > around.now:
        return Say(Turn.WAIT, RETRYING + last.compute_state.message, last.modify_time + SHORT_REFUSAL_NS)
    verdict = decide_retry(job, [e for e in mine if is_failure(e)]) if is_failure(last) else None
    if verdict is None:
        return Say(Turn.START)
    if verdict.give_up:
        return Say(Turn.OVER)
    return (
        Say(Turn.WAIT, f"{RETRYING}{last.compute_state.message}", verdict.not_before)
        if verdict.not_before > around.now
        else Say(Turn.START)
    )
