"""One evaluation of a job: plan with the pure scheduler, and apply what was planned.

An evaluation follows each change of a job. Where it can be made at once, change and plan are one transaction. What a
plan means for the waiting line is noted in the same step in which it is made, before it is written: so the next plan
sees the room that is left and the jobs that still wait.
"""

import logging
from collections.abc import Hashable, Iterator, Sequence

import msgspec

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.ids import evaluation_id, new_execution_id
from bacalhau.lib.wire import encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change, OutgoingMessage
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.models.wire.messages import AskForBid, CancelExecution
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.inventory import must_list
from bacalhau.orchestrator.evaluation.locating import must_ask
from bacalhau.orchestrator.scheduling.candidates import shape_of
from bacalhau.orchestrator.scheduling.place import Bars, decide_claim, needed_resources
from bacalhau.orchestrator.scheduling.schedule import NODE_DEADLINE_SLACK, plan_job, total_limit
from bacalhau.orchestrator.scheduling.steps import NOTHING, Awaits, Context, fail, find_all_bars, limits_of
from bacalhau.orchestrator.scheduling.view import HERE, SECOND, TURN, Claim, Plan
from bacalhau.orchestrator.state.line import Turn, Waiting
from bacalhau.orchestrator.state.views import FEW

STORE_PAUSE = SECOND  # until the next evaluation when the store cannot be written or read, a full disk for instance
log = logging.getLogger(__name__)


def new_ids() -> Iterator[str]:
    while True:
        yield new_execution_id()


def context_of(orch: Orchestrator, job: Job, eval_id: str = "", most: int | None = None) -> Context:
    """The job's surroundings as they are now, for the evaluation of that id, which may start `most` executions."""
    now = now_ns()
    return Context(
        orch.cluster.candidates,
        now,
        new_ids(),
        orch.is_settled(now),
        orch.queue.binding_claim(job),
        orch.outbox.is_undelivered,
        eval_id,
        most=most,
        holders=orch.locality.holders(job),
        allowance=orch.cluster.quotas.allowance(job.namespace),
        fence=orch.permits.fence(job.id, job.create_time),
        is_preparing=orch.board.is_preparing,
        awaits=_awaits(orch, job),
        foretold=orch.foretold.partitions(job.id, job.version),
    )


def _awaits(orch: Orchestrator, job: Job) -> Awaits:
    found = orch.awaited.find(job.id, job.version)
    return NOTHING if found is None else Awaits(found.text, found.hint, found.is_over)


def plan_and_hold(orch: Orchestrator, view: JobView, turn: Turn) -> Plan | None:
    """Plan one job, reserve what it starts and note whether it waits, so that the next plan sees all that.

    Returns None while nodes are asked about the job or its inputs; then it stands in no line.
    """
    plan = _plan(orch, view, turn.most)
    if plan is None:
        orch.queue.leave(view.job.id)
        return None
    _hold(orch, view, plan)
    if turn.is_in_line and plan.wants_room and not plan.waiting.startswith(TURN):
        orch.queue.exhaust(view.job.id)
    return plan


def evaluation_of(view: JobView) -> str:
    """The id of the evaluation of the job as it is."""
    return evaluation_id(view.job.id, view.job.version, view.tally.count)


def _plan(orch: Orchestrator, view: JobView, most: int | None = None) -> Plan | None:
    around = context_of(orch, view.job, evaluation_of(view), most)
    try:
        if must_list(orch, view.job) or must_ask(orch, view.job):
            return None
        return plan_job(view, around)
    except Exception as e:  # supervised: a fault of ours fails this job, not the server
        log.exception("evaluating job %s", view.job.id)
        hint = "look into the orchestrator's log, and report this"
        return Plan() if view.job.is_done else fail(view.job, view.live(), f"internal error: {e!r}", hint, around.now)


def _hold(orch: Orchestrator, view: JobView, plan: Plan) -> None:
    for execution in plan.asks:
        orch.cluster.hold(execution)
        orch.placing.add(execution.id)
    job = plan.job or view.job
    orch.note_plan(job, plan)
    if plan.is_partial:
        orch.queue.add(job.id)  # now, so that who comes later waits for the rest
    if job.is_done or not plan.wants_room:
        orch.queue.leave(job.id)
    else:
        _keep_in_line(orch, view, plan)


def _keep_in_line(orch: Orchestrator, view: JobView, plan: Plan) -> None:
    """The job waits; and who comes first for long gets a node kept free."""
    job, around = plan.job or view.job, context_of(orch, view.job)
    bars = find_all_bars(view, around._replace(claim=None))
    need = needed_resources(job)
    key = _key_of(orch, job, bars)
    if plan.asks and orch.queue.claim is not None and orch.queue.claim.job_id == job.id:
        orch.queue.keep(None)
    since = around.now if plan.asks or view.size else job.submitted
    waiting = Waiting(job, need, key, since, bars, plan.waits_on)
    orch.queue.keep_waiting(waiting, around.now, has_started=bool(plan.asks))
    if job.type in EVERYWHERE:
        orch.queue.park(job.id)
    elif orch.queue.nominee == job.id:
        orch.queue.nominee = ""
        node_id = decide_claim(job, need, orch.cluster.candidates, bars)
        if node_id:
            orch.queue.keep(Claim(node_id, job.id))
        else:
            orch.queue.park(job.id)


def _key_of(orch: Orchestrator, job: Job, bars: Bars) -> Hashable:
    """Jobs with the same key fit in the same places, and are given up for the same reason: those of one shape, with the
    same ports, whose inputs are on the same nodes, and that the same nodes refused or found no engine on.
    """
    if job.type in EVERYWHERE:
        return job.id
    shape = shape_of(job, needed_resources(job))
    held = frozenset(node_id for node_id, weight in orch.locality.holders(job).held.items() if weight >= HERE)
    patient = bool(limits_of(job).queue_timeout)
    return (
        shape,
        job.task.static_ports,
        held,
        frozenset(bars.refused),
        frozenset(bars.lacking),
        frozenset(bars.away),
        patient,
    )


async def apply_plan(orch: Orchestrator, job: Job, plan: Plan) -> bool:
    """Store the plan. Where others changed the job meanwhile, or the store cannot be written, the job is evaluated
    again; False in the latter case.
    """
    try:
        if not plan.is_empty:
            await _commit_plan(orch, job.id, Change(), plan)
    except (Conflict, Unavailable) as e:
        is_late = isinstance(e, Conflict)
        log.log(logging.DEBUG if is_late else logging.ERROR, "job %s is evaluated again: %s", job.id, e)
        orch.views.forget(job.id)
        orch.queue.add(job.id, 0 if is_late else now_ns() + STORE_PAUSE)
        return is_late
    _set_timers(orch, orch.views.find_job(job.id) or plan.job or job, plan)
    return True


async def commit_and_evaluate(orch: Orchestrator, change: Change, job_id: str, view: JobView | None) -> None:
    """Commit a change of one job, and what follows from it: in the same transaction, or by an evaluation of its own
    soon.

    `view` is the job as the change leaves it, where that is known. Raises Conflict and Unavailable, and then nothing
    has happened.
    """
    if view is None or view.size > FEW:
        await orch.commit(change)
        orch.queue.add(job_id)
        return
    with orch.queue.evaluating(job_id) as alone:
        plan = _plan(orch, view) if alone else None
        if plan is None or _must_queue(orch, change, plan):
            await orch.commit(change)
            orch.queue.add(job_id)
            return
        _hold(orch, view, plan)
        try:
            await _commit_plan(orch, job_id, change, plan)
        except (Conflict, Unavailable):
            orch.queue.add(job_id)  # for what was noted of a plan that did not happen
            raise
        _set_timers(orch, plan.job or view.job, plan)


def _must_queue(orch: Orchestrator, change: Change, plan: Plan) -> bool:
    """Tell whether the job must be evaluated by the queue. Jobs that wait already come first; and a client that submits
    a job need not wait while its place in line is found.
    """
    return bool(plan.asks and not orch.queue.is_idle) or bool(plan.wants_room and (change.new_jobs or change.jobs))


async def _commit_plan(orch: Orchestrator, job_id: str, first: Change, plan: Plan) -> None:
    """Write a plan and the change before it. Raises Conflict and Unavailable, and then nothing is reserved any more and
    the job waits as before.
    """
    reach(Point.PLANNED)
    try:
        await orch.commit(_joined(first, plan_change(plan)))
    except (Conflict, Unavailable):
        orch.queue.come_back(job_id, now_ns())
        orch.release(plan.asks)
        raise
    finally:
        orch.placing.difference_update(execution.id for execution in plan.asks)
    reach(Point.PLACED)


def _joined(first: Change, then: Change) -> Change:
    return Change(
        new_jobs=first.new_jobs + then.new_jobs,
        jobs=first.jobs + then.jobs,
        new_executions=first.new_executions + then.new_executions,
        executions=first.executions + then.executions,
        history=first.history + then.history,
        messages=first.messages + then.messages,
        reuse_keys=first.reuse_keys + then.reuse_keys,
        submissions=first.submissions + then.submissions,
    )


def _set_timers(orch: Orchestrator, job: Job, plan: Plan) -> None:
    if job.is_done:
        return
    if limit := total_limit(job):
        orch.queue.add(job.id, limit + NODE_DEADLINE_SLACK)
    if plan.next_evaluation:
        orch.queue.add(job.id, plan.next_evaluation)


def plan_change(plan: Plan) -> Change:
    """Turn a plan into one transaction: new rows, changed rows, history, and messages to nodes without their jobs."""
    new = _without_job(plan.asks)
    asks = (OutgoingMessage(node_id=e.node_id, type="AskForBid", body=encode(AskForBid(execution=e))) for e in new)
    cancels = (
        OutgoingMessage(node_id=e.node_id, type="CancelExecution", body=encode(CancelExecution(execution_id=e.id)))
        for e in plan.cancels
    )
    return Change(
        jobs=(plan.job,) if plan.job else (),
        new_executions=new,
        executions=_without_job(plan.updates + plan.cancels),
        history=plan.history,
        messages=(*asks, *cancels),
    )


def _without_job(executions: Sequence[Execution]) -> tuple[Execution, ...]:
    return tuple(e if e.job is None else msgspec.structs.replace(e, job=None) for e in executions)
