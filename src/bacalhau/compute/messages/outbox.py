"""Reports to the orchestrator: first in the journal, then sent until they are taken, then forgotten.

A report that can never be delivered, because it is too large or rejected, is replaced by one that says so.
"""

import asyncio
import logging
from functools import partial
from pathlib import Path

from bacalhau.compute.core import FINISHED, ComputeNode, PendingReport
from bacalhau.compute.execution.keeping import fit_kept, keep_outputs, tell_kept
from bacalhau.compute.execution.outputs import forget_files
from bacalhau.compute.state.kept import KEPT
from bacalhau.lib.aio import crew
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, BadRequest, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.outbox import Verdict
from bacalhau.lib.wire import Model, decode, encode
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import KEPT_UNTIL, Execution
from bacalhau.models.job.retry import ENGINE, FAILURE_KIND
from bacalhau.models.wire.messages import MESSAGE_NAMES, MESSAGE_TYPES, ComputeError, RunResult, Told

JOURNAL_PAUSE = 1.0  # seconds
UNDELIVERABLE = "ReportUndeliverable"
LONGEST_REASON = 2000  # characters
log = logging.getLogger(__name__)


async def report(node: ComputeNode, execution_id: str, state: str, message: Model) -> None:
    """Keep a report in the journal and send it from there; durable on return.

    `state` is the execution's in the journal, changed in the same transaction. A full disk is waited out.
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
    node.reports.put(PendingReport(seq, kind, message, execution_id).letter)


async def report_end(node: ComputeNode, execution: Execution, state: str, message: RunResult | ComputeError) -> None:
    """Report the end of an execution, as `report` does. Outputs that were not published are kept, and the report says
    so; then the state is that of the kept ones.
    """
    if node.cache is not None:
        await node.cache.release(execution.id)
    kept = None
    if isinstance(message, ComputeError) and not message.publish_result:
        kept = await keep_outputs(node, execution)
    if kept is None or not isinstance(message, ComputeError):
        await report(node, execution.id, state, message)
        return
    reach(Point.OUTPUTS_KEPT)
    await report(node, execution.id, KEPT, tell_kept(node, kept, message))
    await fit_kept(node)


async def load_reports(node: ComputeNode) -> None:
    """Queue the reports that the last process could not deliver."""
    for kept in await node.journal.list_reports(0, 0):
        message = decode(kept.body, MESSAGE_TYPES[kept.type])
        node.reports.put(PendingReport(kept.seq, kept.type, message, kept.execution_id).letter, was_tried=True)


async def report_forever(node: ComputeNode) -> None:
    """Send reports and forget those that are settled, without end."""
    async with crew() as senders:
        node.reports.begin(senders, partial(_send, node))
        node.reports.open()
        await node.reports.settled.forget_forever(partial(drop_reports, node))


async def _send(node: ComputeNode, pending: PendingReport) -> Verdict:
    try:
        reach(Point.NODE_TELLING)
        await node.bus.send(pending.type, pending.message, pending.seq)
        reach(Point.NODE_TOLD)
    except BadRequest as e:
        log.error("%s of %s: %s", pending.type, pending.execution_id, e)
        await _replace(node, pending, e.message)
        return Verdict.NEVER
    except BacalhauError as e:
        log.info("%s of %s will be sent again: %s", pending.type, pending.execution_id, e)
        return Verdict.LATER
    return Verdict.TAKEN


async def _replace(node: ComputeNode, pending: PendingReport, reason: str) -> None:
    """Let an execution fail whose own report cannot be delivered; once, so that a failed replacement ends it."""
    told = pending.message
    if not isinstance(told, Told) or any(
        (e.details or {}).get("ErrorCode") == UNDELIVERABLE for e in told.events or ()
    ):
        return
    details = {"IsError": "true", "ErrorCode": UNDELIVERABLE, FAILURE_KIND: ENGINE}
    event = make_event(Topic.EXECUTION, reason[:LONGEST_REASON], now_ns(), **details)
    failure = ComputeError(execution_id=told.execution_id, job_id=told.job_id, job_type=told.job_type, events=(event,))
    if kept := node.kept.get(pending.execution_id):
        await report(node, pending.execution_id, KEPT, tell_kept(node, kept, failure))
    else:
        await report(node, pending.execution_id, FINISHED, failure)
    if running := node.running.get(pending.execution_id):
        await running.give_up()


async def drop_reports(node: ComputeNode, reports: list[PendingReport]) -> None:
    """Remove reports from the journal, and then the files of their executions, but for outputs that are kept. Raises
    Unavailable.
    """
    await node.journal.drop_reports([pending.seq for pending in reports])
    reach(Point.NODE_FORGOTTEN)
    folders = [node.execution_folder(pending.execution_id) for pending in reports if not _keeps(pending)]
    await asyncio.to_thread(_forget_all, folders)
    reach(Point.NODE_TIDIED)


def _keeps(pending: PendingReport) -> bool:
    """Tell whether the files of an execution stay when this report of it was taken."""
    if pending.type == "BidResult":
        return True
    events = pending.message.events if isinstance(pending.message, Told) else None
    return any(KEPT_UNTIL in (event.details or {}) for event in events or ())


def _forget_all(folders: list[Path]) -> None:
    """Remove files; what cannot be removed now is left to `recovery.tidy_forever`."""
    for folder in folders:
        try:
            forget_files(folder)
        except OSError as e:
            log.warning("%s was not tidied: %s", folder, e.strerror or e)
