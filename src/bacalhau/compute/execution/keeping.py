"""Keeps the outputs of executions that ran and whose results were not published, so that nothing computed is lost.

They stay for `Compute.Retention.Unpublished` and go before that, the oldest first, where the disk is needed: by tasks
that run, or by inputs that are brought. They may take what no running task has reserved of the node's disk.
"""

import asyncio
import errno
import logging
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from bacalhau.compute.core import FINISHED, ComputeNode
from bacalhau.compute.execution.outputs import forget_files, read_exit_code
from bacalhau.compute.state.kept import KEPT, Kept, KeptRecord, read_kept, write_kept
from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.ids import short_id
from bacalhau.lib.tree import remove_tree, walk
from bacalhau.models.execution.execution import KEPT_BYTES, KEPT_UNTIL, Execution
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.models.wire.messages import ComputeError

SECOND = 1_000_000_000
log = logging.getLogger(__name__)


async def keep_outputs(node: ComputeNode, execution: Execution) -> Kept | None:
    """Keep the outputs of an execution whose task ended by itself and that has a publisher; None where there are none.

    Inputs go. A job that runs for ever has no results.
    """
    job = execution.job or Job()
    if not node.keep_unpublished or not job.task.publisher_type or job.type in LONG_RUNNING:
        return None
    folder = node.execution_folder(execution.id)
    until = now_ns() + int(node.keep_unpublished * SECOND)
    if (record := await asyncio.to_thread(_make_record, folder, until)) is None:
        return None
    node.kept.pop(execution.id, None)
    kept = node.kept[execution.id] = Kept(execution, record)
    log.warning(
        "execution %s: its %d bytes of outputs are kept until %s", execution.id, record.bytes, rfc3339(record.until)
    )
    return kept


def tell_kept(node: ComputeNode, kept: Kept, message: ComputeError) -> ComputeError:
    """Add to a report of an end that the outputs are kept: where, until when, and how they are published."""
    if not message.events:
        return message
    first, *others = message.events
    details = first.details or {}
    until = datetime.fromtimestamp(kept.record.until // SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")
    where = f"outputs are kept on node {short_id(node.node_id)} until {until}"
    cure = f"{where}: bacalhau job publish {kept.execution.job_id}"
    if hint := details.get("Hint", ""):
        cure = f"{cure} ({hint})"
    more = {KEPT_UNTIL: rfc3339(kept.record.until), KEPT_BYTES: str(kept.record.bytes), "Hint": cure}
    return replace(message, events=(replace(first, details=details | more), *others))


async def load_kept(node: ComputeNode) -> None:
    """Find the outputs that an earlier process of the node kept."""
    for entry in await node.journal.list_executions((KEPT,)):
        folder = node.execution_folder(entry.execution.id)
        until = now_ns() + int(node.keep_unpublished * SECOND)
        record = await asyncio.to_thread(read_kept, folder) or await asyncio.to_thread(_make_record, folder, until)
        if record is None:
            await node.journal.set_state(entry.execution.id, FINISHED)
        else:
            node.kept[entry.execution.id] = Kept(entry.execution, record)


async def expire_kept(node: ComputeNode) -> None:
    """Remove the outputs whose time is over."""
    now = now_ns()
    for execution_id in [name for name, kept in node.kept.items() if kept.record.until <= now]:
        await _drop(node, execution_id, "their time is over")


async def fit_kept(node: ComputeNode) -> None:
    """Remove the oldest outputs until the others fit what running tasks leave of the node's disk."""
    total = node.capacity.total.disk
    while total and sum(kept.record.bytes for kept in node.kept.values()) > total - node.capacity.used.disk:
        await _drop(node, next(iter(node.kept)), "the node's disk is needed")


async def free_disk(node: ComputeNode, folder: Path, size: int) -> None:
    """Remove what the cache of inputs holds, and then the oldest outputs, until so many bytes are free where `folder`
    is, or nothing is left to remove.
    """
    await spare_cache(node, folder, size)
    while node.kept and shutil.disk_usage(folder).free < size:
        await _drop(node, next(iter(node.kept)), "the node's disk is needed")


async def spare_cache(node: ComputeNode, folder: Path, size: int) -> None:
    """Remove what the cache of inputs holds until so many bytes are free where `folder` is."""
    if node.cache is not None:
        try:
            await node.cache.leave_free(folder, size)
        except (OSError, Unavailable) as e:
            log.warning("the cache of inputs was not made smaller: %s", e)


async def forget_kept(node: ComputeNode, execution_id: str) -> None:
    """Remove the outputs of an execution that the orchestrator has forgotten, durably. Raises Unavailable."""
    if (kept := node.kept.get(execution_id)) is None:
        return
    log.info("execution %s: its outputs, which were not published, are removed with its job", execution_id)
    try:
        await _remove(node, execution_id)
    except Unavailable:
        node.kept[execution_id] = kept  # it is told again
        raise


async def _drop(node: ComputeNode, execution_id: str, why: str) -> None:
    log.warning("execution %s: its outputs, which were not published, are removed: %s", execution_id, why)
    try:
        await _remove(node, execution_id)
    except Unavailable as e:  # the next start of the node finds it without outputs
        log.error("execution %s: %s", execution_id, e)


async def _remove(node: ComputeNode, execution_id: str) -> None:
    """Remove kept outputs. Raises Unavailable where they are not wholly gone, and counts them no more all the same."""
    node.kept.pop(execution_id, None)
    try:
        await asyncio.to_thread(forget_files, node.execution_folder(execution_id))
        await node.journal.set_state(execution_id, FINISHED)
    except OSError as e:
        raise Unavailable(f"its outputs cannot be removed: {e.strerror or e}") from e


def _make_record(folder: Path, until: int) -> KeptRecord | None:
    """Write the record of a folder's outputs; None where its task has not ended."""
    result = folder / "result"
    if read_exit_code(result) is None:
        return None
    try:
        if (folder / "inputs").exists():
            remove_tree(folder / "inputs")
        size = sum(status.st_size for _, status in walk(result) if stat.S_ISREG(status.st_mode))
    except OSError as e:
        log.warning("%s was not measured: %s", folder, e.strerror or e)
        size = 0
    record = KeptRecord(until=until, bytes=size)
    try:
        write_kept(folder, record)
    except OSError as e:  # the journal says that they are kept; the next process then counts their time anew
        level = logging.WARNING if e.errno in (errno.ENOSPC, errno.EDQUOT) else logging.ERROR
        log.log(level, "the record of %s was not written: %s", folder, e.strerror or e)
    return record
