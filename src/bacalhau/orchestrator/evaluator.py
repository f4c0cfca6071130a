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
from bacalhau.models.job import Timeouts
from bacalhau.models.messages import AskForBid, CancelExecution
from bacalhau.models.plan import Change, OutgoingMessage
from bacalhau.orchestrator.scheduling.batch import NODE_DEADLINE_SLACK, SECOND, Context, fail_job, plan_batch
from bacalhau.orchestrator.scheduling.view import Plan
from bacalhau.orchestrator.service import WAKE_AT_ONCE, Orchestrator
from bacalhau.ports.store import JobView

BATCH = 64
STORE_PAUSE = 1_000_000_000  # ns until the next look when the store cannot be written or read, a full disk for instance
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
        plans = [(views[job_id], _plan(orch, views[job_id])) for job_id in job_ids if job_id in views]  # who was first takes first
        await together(*(_apply(orch, view, plan) for view, plan in plans))
        for job_id in job_ids:
            orch.queue.done(job_id)


def _new_ids() -> Iterator[str]:
    while True:
        yield new_execution_id()


def _plan(orch: Orchestrator, view: JobView) -> Plan:
    """Plans one job and reserves at once, so that the next plan of the same batch sees less room."""
    now = now_ns()
    try:
        plan = plan_batch(view, Context(orch.cluster.seats(now), now, _new_ids(), now - orch.started > orch.settle_ns))
    except Exception as e:  # supervised: a fault of ours fails this job, not the server
        log.exception("looking at job %s", view.job.id)
        plan = Plan() if view.job.is_done else fail_job(view, f"internal error: {e!r}", "look into the orchestrator's log, and report this", now)
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
    _schedule_next_look(orch, view, plan)


def _schedule_next_look(orch: Orchestrator, view: JobView, plan: Plan) -> None:
    job = plan.job or view.job
    limit = (job.task.timeouts or Timeouts()).total_timeout
    if limit and not job.is_done:
        orch.queue.add(job.id, job.create_time + limit * SECOND + NODE_DEADLINE_SLACK)
    if plan.waiting and not job.is_done:
        orch.queue.block(job)
        if plan.look_again:
            orch.queue.add(job.id, plan.look_again)
    else:
        orch.queue.unblock(job.id)
        if plan.asks:
            orch.queue.wake(1 if orch.queue.waiting < WAKE_AT_ONCE else WAKE_AT_ONCE)


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
