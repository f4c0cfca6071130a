"""What time alone brings about: silent nodes, nodes away for too long, and the second look after a start."""

import logging

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import from_rfc3339, now_ns
from bacalhau.lib.failpoint import Point, reach
from bacalhau.models.node import CONNECTED
from bacalhau.orchestrator.nodes import HEARTBEAT_LIMIT_NS, load_nodes, on_gone
from bacalhau.orchestrator.service import Orchestrator

TICK = 1.0
OUTBOX_PAGE = 1000
log = logging.getLogger(__name__)


async def watch_nodes_forever(orch: Orchestrator) -> None:
    tick = Signal()
    told: set[str] = set()
    while True:
        await tick.wait(TICK)
        now = now_ns()
        for node in orch.cluster.nodes():
            if node.info.node_type != "Compute":
                continue  # the orchestrator's own entry sends no heartbeats
            node_id = node.info.node_id
            silent = now - from_rfc3339(node.connection_state.last_heartbeat) > HEARTBEAT_LIMIT_NS
            if node.connection_state.status == CONNECTED and silent:
                on_gone(orch, node_id, "no heartbeat for 60 s")
            if not orch.cluster.is_lost(node_id, now):
                told.discard(node_id)
            elif node_id not in told:
                told.add(node_id)
                for job_id in orch.cluster.jobs_on(node_id):
                    orch.queue.add(job_id)


async def load_state(orch: Orchestrator) -> None:
    """At start: nodes, reservations, unsent messages; every unfinished job, and every job with live executions, is looked at."""
    await load_nodes(orch)
    again = orch.started + orch.settle_ns + 1
    for execution in await orch.store.list_live_executions():
        orch.cluster.hold(execution)
        orch.queue.add(execution.job_id)
    for node in orch.cluster.nodes():
        await _load_lane(orch, node.info.node_id)
    for job in await orch.store.list_open_jobs():
        orch.queue.add(job.id)
        orch.queue.add(job.id, again)
    reach(Point.LOADED)


async def _load_lane(orch: Orchestrator, node_id: str) -> None:
    after = 0
    while page := await orch.store.list_messages(node_id, after, OUTBOX_PAGE):
        for message in page:
            orch.lanes.push(message)
        after = page[-1].seq
