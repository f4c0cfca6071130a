"""Reports to the orchestrator: first in the journal, then sent until acknowledged, then forgotten."""

import asyncio
import logging
from functools import partial
from pathlib import Path

from bacalhau.compute.core import ComputeNode, PendingReport
from bacalhau.compute.execution.outputs import forget_files
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.wire import Model, decode, encode
from bacalhau.models.wire.messages import MESSAGE_NAMES, MESSAGE_TYPES

FORGET_EVERY, FORGET_AGAIN = 0.2, 5.0  # seconds; the second after a failure
FINISHED = "finished"
JOURNAL_PAUSE = 1.0  # seconds
log = logging.getLogger(__name__)


async def report(node: ComputeNode, execution_id: str, state: str, message: Model) -> None:
    """Durable on return; `state` is the execution's in the journal, changed in the same transaction.

    A full disk is waited out.
    """
    kind = MESSAGE_NAMES[type(message)]
    seq, trouble = 0, ""
    while not seq:
        try:
            seq = await node.journal.put_report(execution_id, state, kind, encode(message))
        except Unavailable as e:
            if e.message != trouble:
                log.error("the report of %s cannot be kept yet: %s", execution_id, e)
            trouble = e.message
            await asyncio.sleep(JOURNAL_PAUSE)
    reach(Point.NODE_REPORTED)
    node.reports.put(PendingReport(seq, kind, message, execution_id))


async def load_reports(node: ComputeNode) -> None:
    """At start: what the last process could not deliver."""
    for pending in await node.journal.list_reports(0, 0):
        node.reports.put(
            PendingReport(
                pending.seq, pending.type, decode(pending.body, MESSAGE_TYPES[pending.type]), pending.execution_id
            )
        )


async def _send(node: ComputeNode, pending: PendingReport) -> bool:
    try:
        reach(Point.NODE_TELLING)
        await node.bus.send(pending.type, pending.message, pending.seq)
        reach(Point.NODE_TOLD)
    except BacalhauError as e:
        log.info("%s of %s will be sent again: %s", pending.type, pending.execution_id, e)
        return False
    node.delivered.append(pending)
    return True


async def report_forever(node: ComputeNode) -> None:
    async with crew() as senders:
        node.reports.begin(senders, partial(_send, node))
        node.reports.open()
        await _forget_forever(node)


async def _forget_forever(node: ComputeNode) -> None:
    """What is delivered leaves the journal and the disk a little later, many at once; after a crash it is sent again,
    harmlessly.
    """
    pause = FORGET_EVERY
    while True:
        await asyncio.sleep(pause)
        pause = FORGET_EVERY if await forget_delivered(node) else FORGET_AGAIN


async def forget_delivered(node: ComputeNode) -> bool:
    """False when the journal could not do it; the same is tried again with the next."""
    delivered, node.delivered = node.delivered, []
    if not delivered:
        return True
    try:
        await node.journal.drop_reports([p.seq for p in delivered])
        reach(Point.NODE_FORGOTTEN)
    except Unavailable as e:
        log.error("%d acknowledged reports stay in the journal for now: %s", len(delivered), e)
        node.delivered[:0] = delivered
        return False
    await asyncio.to_thread(
        _forget_all, [node.execution_folder(p.execution_id) for p in delivered if p.type != "BidResult"]
    )
    reach(Point.NODE_TIDIED)
    return True


def _forget_all(folders: list[Path]) -> None:
    """What cannot be removed now is left to `recovery.tidy_forever`."""
    for folder in folders:
        try:
            forget_files(folder)
        except OSError as e:
            log.warning("%s was not tidied: %s", folder, e.strerror or e)
