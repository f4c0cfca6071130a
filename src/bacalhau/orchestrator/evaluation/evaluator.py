"""The loop that evaluates jobs: many of them in one transaction of the store, with pauses for everybody else.

First come the jobs that wait for room and for which some node has it, in their order; then those that have changed, or
whose time has come. Plans are made one after the other, each seeing what those before it took, and written together.
"""

import asyncio
import logging
import time
from collections import deque

from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Unavailable
from bacalhau.models.job.job import Job
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import STORE_PAUSE, apply_plan, plan_and_hold
from bacalhau.orchestrator.scheduling.view import SECOND, SLICE, Plan, queue_order
from bacalhau.orchestrator.state.line import Turn

BATCH = 64
STEP = 0.01  # seconds of planning, after which others have their turn
log = logging.getLogger(__name__)


async def evaluate_forever(orch: Orchestrator) -> None:
    while True:
        await orch.queue.wait()
        if not await evaluate_some(orch):
            await asyncio.sleep(STORE_PAUSE / SECOND)


async def evaluate_some(orch: Orchestrator) -> bool:
    """Plan up to 64 jobs that are due, or as many as change a slice of executions together, and apply the plans; False
    when the store cannot be used.
    """
    taken: list[str] = []
    try:
        plans = await _plan_some(orch, taken)
        return all(await together(*(apply_plan(orch, job, plan) for job, plan in plans)))
    except Unavailable as e:
        log.error("jobs are evaluated later: %s", e)
        return False
    finally:
        for job_id in taken:
            orch.queue.done(job_id)


async def _plan_some(orch: Orchestrator, taken: list[str]) -> list[tuple[Job, Plan]]:
    """Make the plans that are to be applied; `taken` collects the jobs that were evaluated. Raises Unavailable.

    Views are not kept beyond this: the last plan of a large job must not be what frees it.
    """
    asked = _list_asked(orch)
    views = await orch.views.load(orch.store, asked)
    due = deque(sorted(asked, key=lambda job_id: queue_order(views[job_id].job) if job_id in views else (0, 0, job_id)))
    plans: list[tuple[Job, Plan]] = []
    size, began = 0, time.perf_counter()
    while len(plans) < BATCH and size < SLICE and (turn := _next_turn(orch, due)):
        taken.append(job_id := turn.job_id)
        try:
            view = (await orch.views.load(orch.store, [job_id])).get(job_id)
        except Unavailable:
            orch.queue.leave(job_id)
            orch.queue.add(job_id, now_ns() + STORE_PAUSE)
            raise
        if view is None:
            orch.queue.leave(job_id)
        elif plan := plan_and_hold(orch, view, turn):
            plans.append((view.job, plan))
            size += plan.size
        if time.perf_counter() - began > STEP:
            await asyncio.sleep(0)
            began = time.perf_counter()
    return plans


def _list_asked(orch: Orchestrator) -> list[str]:
    """List the next jobs that somebody asked for, but drop those that are over: to evaluate one of them, all its
    executions would be read.
    """
    asked = orch.queue.asked(BATCH)
    for job_id in filter(orch.views.is_over, asked):
        orch.queue.drop(job_id)
    return [job_id for job_id in asked if not orch.views.is_over(job_id)]


def _next_turn(orch: Orchestrator, due: deque[str]) -> Turn | None:
    """Take the next job to evaluate. Jobs that wait for room come first; nobody overtakes a job that is first and just
    being evaluated elsewhere.
    """
    turn = orch.queue.next_turn(now_ns())
    while turn is None and due and not orch.queue.is_held_up:
        turn = orch.queue.take(due.popleft())
    return turn
