"""The evaluation of one job of any type: a pure function from what is to what should happen next.

To evaluate again changes nothing.
"""

from collections.abc import Callable, Mapping

from bacalhau.models.execution.event import Topic
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.models.job.state import JobStateType
from bacalhau.orchestrator.scheduling.batch import fill_batch
from bacalhau.orchestrator.scheduling.daemon import fill_daemon
from bacalhau.orchestrator.scheduling.leave import plan_departures
from bacalhau.orchestrator.scheduling.ops import fill_ops
from bacalhau.orchestrator.scheduling.place import needed_resources
from bacalhau.orchestrator.scheduling.rollout import announce, decide_rollout
from bacalhau.orchestrator.scheduling.service import fill_service
from bacalhau.orchestrator.scheduling.steps import (
    ENDS,
    UPDATED,
    Context,
    fail,
    finish,
    limits_of,
    stop_all,
    wait_or_run,
)
from bacalhau.orchestrator.scheduling.view import RETRYING, SECOND, Plan, earliest, slot_of

NODE_DEADLINE_SLACK = 30 * SECOND  # the node enforces time limits itself; this is the backstop for a node that cannot
Fill = Callable[[JobView, Context], Plan]
FILLS: Mapping[str, Fill] = {"batch": fill_batch, "service": fill_service, "ops": fill_ops, "daemon": fill_daemon}


def plan_job(view: JobView, around: Context) -> Plan:
    job, now = view.job, around.now
    if job.is_done:
        return _settle(view, around)
    limit = total_limit(job)
    if limit and now >= limit + (NODE_DEADLINE_SLACK if view.live_on else 0):
        text = f"timed out after {limits_of(job).total_timeout} s: the job's total time limit is over"
        hint = "increase --timeout or allocate more resources"
        return fail(job, view.live(), text, hint, now, topic=Topic.JOB_TIMEOUT)
    excess = around.allowance.find_excess(needed_resources(job))
    if excess:
        return fail(job, view.live(), f"the task {excess}", around.allowance.cure, now)
    if around.awaits.is_over:
        return fail(job, view.live(), around.awaits.text, around.awaits.hint, now)
    left = plan_departures(view, around)
    if left.is_partial:
        return left
    if left.is_empty:
        return _roll_and_fill(view, around)
    with view.trial(left.updates + left.cancels):
        then = _roll_and_fill(view, around)
    return then._replace(
        updates=left.updates + then.updates,
        cancels=left.cancels + then.cancels,
        history=left.history + then.history,
    )


def _settle(view: JobView, around: Context) -> Plan:
    """Plan the rest of a job that is over: what still runs stops, but for kept outputs that are being published. When
    these are the last that were missing, the job is completed.
    """
    job = view.job
    left = plan_departures(view, around) if any(map(_is_late, view.live_current())) else Plan()
    with view.trial(left.updates + left.cancels):
        running = (e for e in view.live() if not (_is_late(e) and e.job_version == job.version))
        stopped = stop_all(running, ENDS[job.state.state_type], around.now)
    is_complete = job.state.state_type != JobStateType.COMPLETED and _is_late_complete(view)
    done = finish(job, around.now) if is_complete else Plan()
    return stopped._replace(
        job=done.job,
        updates=left.updates,
        cancels=left.cancels + stopped.cancels,
        history=left.history + stopped.history + done.history,
        is_partial=left.is_partial or stopped.is_partial,
    )


def _is_late(execution: Execution) -> bool:
    return execution.state == ComputeStateType.PUBLISHING


def _is_late_complete(view: JobView) -> bool:
    """Tell whether a job has all its results, of which some were published later."""
    job, done = view.job, view.tally.completed
    if not done or (job.type == "batch" and len(done) < job.wanted):
        return False
    current = view.current()
    completed = [e for e in current if e.state == ComputeStateType.COMPLETED]
    wanted = {slot_of(e, job.type) for e in current}
    return wanted == {slot_of(e, job.type) for e in completed} and any(e.publisher for e in completed)


def _roll_and_fill(view: JobView, around: Context) -> Plan:
    """Stop what a newer version replaces now, and start what is missing. The second waits while the first takes more
    than one plan, and both for the result of another job that must come first.
    """
    if around.awaits.text:
        return wait_or_run(view.job, Plan(waiting=around.awaits.text), bool(view.live_on), around)
    if view.job.version == 1:  # nothing is replaced
        return FILLS[view.job.type](view, around)
    rollout = decide_rollout(view, around)
    stopped = stop_all(rollout.stop, UPDATED, around.now)
    if stopped.is_partial:
        return stopped
    with view.trial(stopped.cancels):
        following = around._replace(later=rollout.later, is_held_up=bool(rollout.held_up))
        plan = FILLS[view.job.type](view, following)
    ended = plan.job is not None and plan.job.is_done
    if ended and rollout.later:
        stopped = stop_all(view.outdated, UPDATED, around.now)
    if not ended:
        plan = announce(view.job, plan, rollout.held_up, around.now)
    if rollout.held_up and not ended:
        before = f"{plan.waiting}; " if plan.waiting else RETRYING
        plan = plan._replace(waiting=before + rollout.held_up)
    return plan._replace(
        cancels=plan.cancels + stopped.cancels,
        history=plan.history + stopped.history,
        next_evaluation=earliest(plan.next_evaluation, 0 if ended else rollout.next_evaluation),
        is_partial=plan.is_partial or stopped.is_partial,
    )


def total_limit(job: Job) -> int:
    """Unix ns at which the job's time is over; 0 never. What never ends has no such limit."""
    seconds = 0 if job.type in LONG_RUNNING else limits_of(job).total_timeout
    return job.submitted + seconds * SECOND if seconds else 0
