"""From the outbox to the nodes: each message is sent until it is acknowledged, and only then forgotten."""

import asyncio
import logging
from functools import partial

from bacalhau.lib.aio import crew
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.store import PendingMessage

FORGET_EVERY, FORGET_AGAIN = 0.2, 5.0  # seconds; the second after a failure
log = logging.getLogger(__name__)


async def dispatch_forever(orch: Orchestrator) -> None:
    async with crew() as senders:
        orch.outbox.begin(senders, partial(_send, orch))
        await _forget_forever(orch)


async def _forget_forever(orch: Orchestrator) -> None:
    """What is acknowledged leaves the outbox a little later, many at once; after a crash it is sent again, which does
    no harm.
    """
    pause = FORGET_EVERY
    while True:
        await asyncio.sleep(pause)
        pause = FORGET_EVERY if await forget_acknowledged(orch) else FORGET_AGAIN


async def forget_acknowledged(orch: Orchestrator) -> bool:
    """False when the store could not do it; the same is tried again with the next."""
    seqs, orch.outbox.acknowledged = orch.outbox.acknowledged, []
    if not seqs:
        return True
    try:
        await orch.store.drop_messages(seqs)
        reach(Point.FORGOTTEN)
    except Unavailable as e:
        log.error("%d acknowledged messages stay in the outbox for now: %s", len(seqs), e)
        orch.outbox.acknowledged[:0] = seqs
        return False
    return True


async def _send(orch: Orchestrator, message: PendingMessage) -> bool:
    try:
        reach(Point.SENDING)
        await orch.bus.send(message.node_id, message.type, message.body, message.seq)
        reach(Point.SENT)
    except BacalhauError as e:
        level = (
            logging.INFO if orch.outbox.lane(message.node_id).is_open else logging.DEBUG
        )  # that a node left is told once
        log.log(level, "%s to %s will be sent again: %s", message.type, message.node_id, e)
        return False
    orch.outbox.acknowledged.append(message.seq)
    return True
