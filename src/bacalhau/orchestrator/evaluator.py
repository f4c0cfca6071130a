"""Looks at jobs that may need something, plans with the pure scheduler, and applies what was planned."""

import logging
from collections.abc import Iterator, Sequence

import msgspec

from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.ids import new_execution_id
from bacalhau.lib.wire import encode
from bacalhau.models.execution import Execution
from bacalhau.models.job import EVERYWHERE, Job
from bacalhau.models.messages import AskForBid, CancelExecution
from bacalhau.models.plan import Change, OutgoingMessage
from bacalhau.orchestrator.queue import WAKE_AT_ONCE
from bacalhau.orchestrator.scheduling.place import decide_claim, needed_resources
from bacalhau.orchestrator.scheduling.schedule import NODE_DEADLINE_SLACK, plan_job, total_limit
from bacalhau.orchestrator.scheduling.seats import shape_of
from bacalhau.orchestrator.scheduling.steps import Context, fail
from bacalhau.orchestrator.scheduling.view import SECOND, Claim, Plan, queue_order
from bacalhau.orchestrator.service import Orchestrator
from bacalhau.ports.store import JobView

BATCH = 64
STORE_PAUSE = SECOND  # until the next look when the store cannot be written or read, a full disk for instance
PATIENCE = 30 * SECOND  # the job at the front of the queue that waited so long has a node kept for it
log = logging.getLogger(__name__)


async def evaluate_forever(orch: Orchestrator) -> None:
    while True:
        job_ids = await orch.queue.take(BATCH)
        try:
            views = await orch.views.load(orch.store, job_ids)
        except Unavailable as e:
            log.error("%d jobs are looked at later: %s", len(job_ids), e)
            views = {}
            for job_id in job_ids:
                orch.queue.add(job_id, now_ns() + STORE_PAUSE)
        plans = [(view, _plan(orch, view)) for view in sorted(views.values(), key=lambda v: queue_order(v.job))]  # who is first takes first
        await together(*(_apply(orch, view, plan) for view, plan in plans))
        for job_id in job_ids:
            orch.queue.done(job_id)


def new_ids() -> Iterator[str]:
    while True:
        yield new_execution_id()


def context_of(orch: Orchestrator) -> Context:
    """The surroundings as they are now."""
    now = now_ns()
    return Context(orch.cluster.seats, now, new_ids(), now - orch.started > orch.settle_ns, orch.queue.claim, orch.lanes.is_undelivered)


def _plan(orch: Orchestrator, view: JobView) -> Plan:
    """Plans one job and reserves at once, so that the next plan of the same batch sees less room."""
    around = context_of(orch)
    try:
        plan = plan_job(view, around)
    except Exception as e:  # supervised: a fault of ours fails this job, not the server
        log.exception("looking at job %s", view.job.id)
        hint = "look into the orchestrator's log, and report this"
        plan = Plan() if view.job.is_done else fail(view.job, [x for x in view.executions if x.is_live], f"internal error: {e!r}", hint, around.now)
    for execution in plan.asks:
        orch.cluster.hold(execution)
    return plan


async def _apply(orch: Orchestrator, view: JobView, plan: Plan) -> None:
    if not plan.is_empty:
        try:
            reach(Point.PLANNED)
            await orch.commit(plan_change(plan))
            reach(Point.PLACED)
        except (Conflict, Unavailable) as e:
            log.log(logging.DEBUG if isinstance(e, Conflict) else logging.ERROR, "job %s is looked at again: %s", view.job.id, e)
            orch.views.forget(view.job.id)
            for execution in plan.asks:
                orch.cluster.release(execution.id)
            orch.queue.add(view.job.id, now_ns() + STORE_PAUSE if isinstance(e, Unavailable) else 0)
            return
    _schedule_next_look(orch, plan.job or view.job, plan)


def _schedule_next_look(orch: Orchestrator, job: Job, plan: Plan) -> None:
    if job.is_done:
        orch.queue.unblock(job.id)
        return
    if limit := total_limit(job):
        orch.queue.add(job.id, limit + NODE_DEADLINE_SLACK)
    if plan.look_again:
        orch.queue.add(job.id, plan.look_again)
    shape = shape_of(job, needed_resources(job))
    if plan.wants_room:
        _keep_in_line(orch, job, plan)
    else:
        orch.queue.unblock(job.id)
    if plan.asks:
        orch.queue.wake_shape(shape, 1 if orch.queue.waiting < WAKE_AT_ONCE else WAKE_AT_ONCE)


def _keep_in_line(orch: Orchestrator, job: Job, plan: Plan) -> None:
    """The job waits. What it gave up itself may be what it waits for; and who is first for long gets a node kept free."""
    now, need = now_ns(), needed_resources(job)
    blocked = orch.queue.block(job, need, shape_of(job, need), now)
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
    node_id = decide_claim(job, need, orch.cluster.seats)
    orch.queue.claim = Claim(node_id, job.id, blocked.order) if node_id else None
    if not node_id:
        orch.queue.stand_back(job.id)


def plan_change(plan: Plan) -> Change:
    """The plan as one transaction: new rows, changed rows, history, and the messages to the nodes."""
    asks = (OutgoingMessage(node_id=e.node_id, type="AskForBid", body=encode(AskForBid(execution=e))) for e in plan.asks)
    cancels = (OutgoingMessage(node_id=e.node_id, type="CancelExecution", body=encode(CancelExecution(execution_id=e.id))) for e in plan.cancels)
    return Change(
        jobs=(plan.job,) if plan.job else (),
        new_executions=_without_job(plan.asks),
        executions=_without_job(plan.updates + plan.cancels),
        history=plan.history,
        messages=(*asks, *cancels),
    )


def _without_job(executions: Sequence[Execution]) -> tuple[Execution, ...]:
    return tuple(e if e.job is None else msgspec.structs.replace(e, job=None) for e in executions)
