"""One look at a job: plan with the pure scheduler, and apply what was planned.

A look follows each change of a job. Where it can be taken at once, change and plan are one transaction.
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
from bacalhau.orchestrator.evaluation.locating import must_ask
from bacalhau.orchestrator.scheduling.candidates import shape_of
from bacalhau.orchestrator.scheduling.place import decide_claim, needed_resources
from bacalhau.orchestrator.scheduling.schedule import NODE_DEADLINE_SLACK, plan_job, total_limit
from bacalhau.orchestrator.scheduling.steps import Context, fail, find_bars
from bacalhau.orchestrator.scheduling.view import SECOND, Claim, Plan
from bacalhau.orchestrator.state.queue import WAKE_AT_ONCE
from bacalhau.orchestrator.state.views import FEW

STORE_PAUSE = SECOND  # until the next look when the store cannot be written or read, a full disk for instance
PATIENCE = 30 * SECOND  # the job at the front of the queue that waited so long has a node kept for it
log = logging.getLogger(__name__)


def new_ids() -> Iterator[str]:
    while True:
        yield new_execution_id()


def context_of(orch: Orchestrator, job: Job) -> Context:
    """The job's surroundings as they are now."""
    now = now_ns()
    return Context(
        orch.cluster.candidates,
        now,
        new_ids(),
        orch.is_settled(now),
        orch.queue.claim,
        orch.outbox.is_undelivered,
        holders=orch.locality.holders(job),
    )


def plan_and_hold(orch: Orchestrator, view: JobView) -> Plan | None:
    """Plans one job and reserves at once, so that the next plan of the same batch sees less room.

    None while nodes are asked about the job.
    """
    plan = _plan(orch, view)
    return None if plan is None else _held(orch, plan)


def evaluation_of(view: JobView) -> str:
    """The id of the look at the job as it is."""
    return evaluation_id(view.job.id, view.job.version, view.tally.count)


def _plan(orch: Orchestrator, view: JobView) -> Plan | None:
    around = context_of(orch, view.job)._replace(eval_id=evaluation_of(view))
    try:
        if must_ask(orch, view.job):
            return None
        return plan_job(view, around)
    except Exception as e:  # supervised: a fault of ours fails this job, not the server
        log.exception("looking at job %s", view.job.id)
        hint = "look into the orchestrator's log, and report this"
        return Plan() if view.job.is_done else fail(view.job, view.live(), f"internal error: {e!r}", hint, around.now)


def _held(orch: Orchestrator, plan: Plan) -> Plan:
    for execution in plan.asks:
        orch.cluster.hold(execution)
        orch.placing.add(execution.id)
    return plan


async def apply_plan(orch: Orchestrator, view: JobView, plan: Plan) -> None:
    if not plan.is_empty:
        try:
            await _commit_plan(orch, Change(), plan)
        except (Conflict, Unavailable) as e:
            log.log(
                logging.DEBUG if isinstance(e, Conflict) else logging.ERROR,
                "job %s is looked at again: %s",
                view.job.id,
                e,
            )
            orch.views.forget(view.job.id)
            orch.queue.add(view.job.id, now_ns() + STORE_PAUSE if isinstance(e, Unavailable) else 0)
            return
    _schedule_next_evaluation(orch, plan.job or view.job, plan)


async def commit_and_evaluate(orch: Orchestrator, change: Change, job_id: str, view: JobView | None) -> None:
    """A change of one job, and what follows from it: in the same transaction, or by a look of its own soon.

    `view` is the job as the change leaves it, where that is known. Raises Conflict and Unavailable, and then nothing
    has happened.
    """
    with orch.queue.evaluating(job_id) as alone:
        plan = _plan(orch, view) if alone and view and view.size <= FEW else None
        if view is None or plan is None or _must_queue(orch, plan):
            await orch.commit(change)
            orch.queue.add(job_id)
        else:
            await _commit_plan(orch, change, _held(orch, plan))
            _schedule_next_evaluation(orch, plan.job or view.job, plan)


async def _commit_plan(orch: Orchestrator, first: Change, plan: Plan) -> None:
    """Raises Conflict and Unavailable, and then nothing is reserved any more."""
    reach(Point.PLANNED)
    try:
        await orch.commit(_joined(first, plan_change(plan)))
    except (Conflict, Unavailable):
        for execution in plan.asks:
            orch.cluster.release(execution.id)
        raise
    finally:
        orch.placing.difference_update(execution.id for execution in plan.asks)
    reach(Point.PLACED)


def _must_queue(orch: Orchestrator, plan: Plan) -> bool:
    """Who waits already comes first, and what the change itself sets free may be what is wanted."""
    return plan.wants_room or (bool(plan.asks) and not orch.queue.is_quiet)


def _joined(first: Change, then: Change) -> Change:
    return Change(
        new_jobs=first.new_jobs + then.new_jobs,
        jobs=first.jobs + then.jobs,
        new_executions=first.new_executions + then.new_executions,
        executions=first.executions + then.executions,
        history=first.history + then.history,
        messages=first.messages + then.messages,
    )


def _schedule_next_evaluation(orch: Orchestrator, job: Job, plan: Plan) -> None:
    if job.is_done:
        orch.queue.unblock(job.id)
        return
    if limit := total_limit(job):
        orch.queue.add(job.id, limit + NODE_DEADLINE_SLACK)
    if plan.next_evaluation:
        orch.queue.add(job.id, plan.next_evaluation)
    if plan.wants_room:
        _keep_in_line(orch, job, plan)
    else:
        orch.queue.unblock(job.id)
    if plan.asks:
        orch.queue.wake_shape(_line_of(orch, job), 1 if orch.queue.waiting < WAKE_AT_ONCE else WAKE_AT_ONCE)


def _keep_in_line(orch: Orchestrator, job: Job, plan: Plan) -> None:
    """The job waits. What it gave up itself may be what it waits for; and who is first for long gets a node
    kept free.
    """
    now, need = now_ns(), needed_resources(job)
    blocked = orch.queue.block(job, need, _line_of(orch, job), now)
    if plan.cancels:
        orch.queue.add(job.id)
    if job.type in EVERYWHERE:
        orch.queue.stand_back(job.id)
        return
    if not orch.queue.is_first(job.id):
        return
    if now < blocked.since + PATIENCE:
        orch.queue.add(job.id, blocked.since + PATIENCE)
        return
    node_id = decide_claim(job, need, orch.cluster.candidates, find_bars(job, (), context_of(orch, job)))
    orch.queue.claim = Claim(node_id, job.id, blocked.order) if node_id else None
    if not node_id:
        orch.queue.stand_back(job.id)


def _line_of(orch: Orchestrator, job: Job) -> Hashable:
    """Who waits in one line fits in the same places: jobs of one shape, with the same ports, whose inputs are on the
    same nodes.
    """
    shape, ports, holders = shape_of(job, needed_resources(job)), job.task.static_ports, orch.locality.holders(job)
    return (shape, ports, frozenset(holders.held)) if ports or holders.lacking else shape


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
