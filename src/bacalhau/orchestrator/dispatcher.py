"""From the outbox to the nodes: each message is sent until it is acknowledged, and only then forgotten."""

import asyncio
import logging

from bacalhau.lib.aio import crew, together
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.orchestrator.lanes import Lane
from bacalhau.orchestrator.service import Orchestrator
from bacalhau.ports.store import PendingMessage

WINDOW = 64
FORGET_EVERY = 0.2  # seconds
log = logging.getLogger(__name__)


async def dispatch_forever(orch: Orchestrator) -> None:
    """One sender per node, started when the node is first heard of."""
    started: set[str] = set()
    async with crew() as senders:
        senders.start(_forget_forever(orch))
        while True:
            for node_id in orch.lanes.names():
                if node_id not in started:
                    started.add(node_id)
                    senders.start(_serve_lane_forever(orch, node_id))
            await orch.lanes.opened.wait(60)


async def _serve_lane_forever(orch: Orchestrator, node_id: str) -> None:
    lane = orch.lanes.lane(node_id)
    failures = 0
    while True:
        if not (lane.waiting and lane.is_open):
            await lane.signal.wait(60)
            continue
        unsent, sent = await _send_batch(orch, lane)
        lane.settle(unsent)
        failures = 0 if sent else failures + 1  # one message that is refused does not slow down the others
        if unsent:
            await lane.signal.wait(min(5.0, 0.1 * 2**failures))


async def _send_batch(orch: Orchestrator, lane: Lane) -> tuple[list[PendingMessage], int]:
    """Returns what was not acknowledged, and how many were."""
    batch = lane.take(WINDOW)
    acknowledged = await together(*(_send(orch, message) for message in batch))
    orch.lanes.acknowledged += [m.seq for m, ok in zip(batch, acknowledged, strict=True) if ok]
    return [m for m, ok in zip(batch, acknowledged, strict=True) if not ok], sum(acknowledged)


async def _forget_forever(orch: Orchestrator) -> None:
    """What is acknowledged leaves the outbox a little later, many at once; after a crash it is sent again, which does no harm."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        seqs, orch.lanes.acknowledged = orch.lanes.acknowledged, []
        if not seqs:
            continue
        try:
            await orch.store.drop_messages(seqs)
            reach(Point.FORGOTTEN)
        except Unavailable as e:
            log.error("%d acknowledged messages stay in the outbox: %s", len(seqs), e)


async def _send(orch: Orchestrator, message: PendingMessage) -> bool:
    try:
        reach(Point.SENDING)
        await orch.bus.send(message.node_id, message.type, message.body, message.seq)
        reach(Point.SENT)
    except BacalhauError as e:
        log.info("%s to %s will be sent again: %s", message.type, message.node_id, e)
        return False
    return True
