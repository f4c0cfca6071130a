"""Changes that time alone brings about: silent nodes, nodes away for too long, a second evaluation after a start."""

import logging

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.handshake import load_nodes, on_gone
from bacalhau.orchestrator.nodes.membership import note_drained
from bacalhau.orchestrator.scheduling.leave import is_drain_due

TICK = 0.5
# Ns from one tick to the next that are no delay any more: this process was stopped, or the clock was set
LEAP = 2_000_000_000
OUTBOX_PAGE = 1000
log = logging.getLogger(__name__)


async def watch_nodes_forever(orch: Orchestrator) -> None:
    tick = Signal()
    told: set[str] = set()
    now = now_ns()
    while True:
        await tick.wait(TICK)
        before, now = now, now_ns()
        if not 0 <= now - before <= LEAP:
            log.warning(
                "%.1f s are missing: this process was stopped, or the clock was set; they count against no node",
                (now - before) / 1e9,
            )
            orch.cluster.excuse(now - before)
        _drop_silent(orch, now)
        lost = orch.cluster.lost(now) if orch.is_settled(now) else set()
        for node_id in (lost - told) | _due(orch, now):
            for job_id in orch.cluster.jobs_on(node_id):
                orch.queue.add(job_id)
        told = lost
        try:
            await note_drained(orch)
        except Unavailable as e:
            log.error("that nodes are drained is noted later: %s", e)


def _drop_silent(orch: Orchestrator, now: int) -> None:
    """The last resort, where no closed connection told of the end."""
    for node_id in orch.cluster.silent(now - orch.silence_ns):
        on_gone(orch, node_id, f"no heartbeat for {orch.silence_ns / 1e9:g} s")


def _due(orch: Orchestrator, now: int) -> set[str]:
    """Nodes whose drain has reached its deadline and that still have work."""
    drained = ((n.info.node_id, n.drain) for n in orch.cluster.nodes() if n.drain and not n.drain.drained)
    return {node_id for node_id, drain in drained if is_drain_due(drain, "batch", now)}


async def load_state(orch: Orchestrator) -> None:
    """Load nodes, reservations and unsent messages at start. Every unfinished job, and every job with live executions,
    is evaluated.
    """
    orch.permits.begin(now_ns())
    await load_nodes(orch)
    again = orch.started + orch.settle_ns + 1
    jobs = {job.id: job for job in await orch.store.list_open_jobs()}
    for execution in await orch.store.list_live_executions():
        job = jobs.get(execution.job_id) or (await orch.store.load_execution(execution.id))[1]
        orch.cluster.hold(execution, job)
        orch.queue.add(execution.job_id)
    for node in orch.cluster.nodes():
        await _load_lane(orch, node.info.node_id)
    for job in jobs.values():
        orch.queue.note(job)
        orch.queue.add(job.id)
        orch.queue.add(job.id, again)
    reach(Point.LOADED)


async def _load_lane(orch: Orchestrator, node_id: str) -> None:
    after = 0
    while page := await orch.store.list_messages(node_id, after, OUTBOX_PAGE):
        for message in page:
            orch.outbox.push(message, was_tried=True)
        after = page[-1].seq
