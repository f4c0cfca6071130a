"""Reports to the orchestrator: first in the journal, then sent until acknowledged, then forgotten."""

import asyncio
import logging
from pathlib import Path

from bacalhau.compute.outputs import forget_files
from bacalhau.compute.service import ComputeNode, PendingReport
from bacalhau.lib.aio import together
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.wire import Model, decode, encode
from bacalhau.models.messages import MESSAGE_NAMES, MESSAGE_TYPES

WINDOW = 64
FORGET_EVERY = 0.2  # seconds
FINISHED = "finished"
JOURNAL_PAUSE = 1.0  # seconds
log = logging.getLogger(__name__)


async def report(node: ComputeNode, execution_id: str, state: str, message: Model) -> None:
    """Durable on return; `state` is the execution's in the journal, changed in the same transaction. A full disk is waited out."""
    kind = MESSAGE_NAMES[type(message)]
    seq = 0
    while not seq:
        try:
            seq = await node.journal.put_report(execution_id, state, kind, encode(message))
        except Unavailable as e:
            log.error("the report of %s cannot be kept yet: %s", execution_id, e)
            await asyncio.sleep(JOURNAL_PAUSE)
    reach(Point.NODE_REPORTED)
    node.reports.append(PendingReport(seq, kind, message, execution_id))
    node.reported.fire()


async def load_reports(node: ComputeNode) -> None:
    """At start: what the last process could not deliver."""
    for pending in await node.journal.list_reports(0, 0):
        node.reports.append(PendingReport(pending.seq, pending.type, decode(pending.body, MESSAGE_TYPES[pending.type]), pending.execution_id))


async def report_forever(node: ComputeNode) -> None:
    failures = 0
    while True:
        if not node.reports:
            await node.reported.wait(60)
            continue
        batch = [node.reports.popleft() for _ in range(min(WINDOW, len(node.reports)))]
        sent = await together(*(_send(node, pending) for pending in batch))
        node.delivered += [p for p, ok in zip(batch, sent, strict=True) if ok]
        unsent = [p for p, ok in zip(batch, sent, strict=True) if not ok]
        node.reports.extendleft(reversed(unsent))
        failures = failures + 1 if len(unsent) == len(batch) else 0  # one that is refused does not slow down the others
        if unsent:
            await node.reported.wait(min(2.0, 0.1 * 2**failures))


async def _send(node: ComputeNode, pending: PendingReport) -> bool:
    try:
        reach(Point.NODE_TELLING)
        await node.bus.send(pending.type, pending.message, pending.seq)
        reach(Point.NODE_TOLD)
    except BacalhauError as e:
        log.info("%s of %s will be sent again: %s", pending.type, pending.execution_id, e)
        return False
    return True


async def forget_forever(node: ComputeNode) -> None:
    """What is delivered leaves the journal and the disk a little later, many at once; after a crash it is sent again, harmlessly."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        delivered, node.delivered = node.delivered, []
        if not delivered:
            continue
        try:
            await node.journal.drop_reports([p.seq for p in delivered])
            reach(Point.NODE_FORGOTTEN)
        except Unavailable as e:
            log.error("%d acknowledged reports stay in the journal: %s", len(delivered), e)
        await asyncio.to_thread(_forget_all, [node.execution_folder(p.execution_id) for p in delivered if p.type != "BidResult"])
        reach(Point.NODE_TIDIED)


def _forget_all(folders: list[Path]) -> None:
    for folder in folders:
        forget_files(folder)
