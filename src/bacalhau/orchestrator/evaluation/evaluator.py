"""Looks at jobs that may need something, many at a time, in the order of the queue."""

import logging

from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Unavailable
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import STORE_PAUSE, apply_plan, plan_and_hold
from bacalhau.orchestrator.scheduling.view import queue_order

BATCH = 64
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
        plans = [
            (view, plan_and_hold(orch, view)) for view in sorted(views.values(), key=lambda v: queue_order(v.job))
        ]  # who is first takes first
        await together(*(apply_plan(orch, view, plan) for view, plan in plans if plan is not None))
        for job_id in job_ids:
            orch.queue.done(job_id)
