"""After a restart: every accepted execution is taken up where it was, and what nobody owns any more is removed."""

import asyncio
import logging
import sys
import time
from contextlib import suppress

from bacalhau.compute.core import FINISHED, ComputeNode
from bacalhau.compute.execution.ending import tell_cancelled, tell_outcome
from bacalhau.compute.execution.keeping import expire_kept, load_kept
from bacalhau.compute.execution.outputs import read_exit_code, read_output
from bacalhau.compute.execution.runner import Outcome
from bacalhau.compute.messages.inbox import ACCEPTED, ACTIVE, CANCELLED, CANCELLING, IN_HAND, NEW, bid, start
from bacalhau.compute.messages.outbox import report_end
from bacalhau.compute.state.attempt import read_attempt
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, EngineFailure, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.tree import remove_tree
from bacalhau.models.execution.execution import DesiredStateType, Execution
from bacalhau.models.job.job import LONG_RUNNING
from bacalhau.ports.engine import Sweeps
from bacalhau.ports.journal import JournalEntry

SECOND = 1_000_000_000
TIDY_EVERY = 600.0  # seconds
log = logging.getLogger(__name__)


async def resume_executions(node: ComputeNode) -> None:
    await _count_interruptions(node, 1)
    await load_kept(node)
    entries = await _give_up_suspects(node, await node.journal.list_executions(IN_HAND))
    swept = await _sweep_engines(node, frozenset(e.execution.id for e in entries))
    if swept:
        await _tell_cancelled(node)
    reached = {e.execution.id for e in entries if _readopt(node, e.execution)}
    for entry in entries:
        reach(Point.NODE_RESUMING)
        execution = entry.execution
        if entry.state == ACCEPTED or execution.desired_state.state_type == DesiredStateType.RUNNING:
            log.info("taking up execution %s", execution.id)
            start(
                node,
                execution,
                admitted=execution.id in reached or (entry.state == ACCEPTED and not _wants_ports(execution)),
            )
        elif entry.state == NEW:
            node.crew.start(bid(node, execution))


async def note_orderly_stop(node: ComputeNode) -> None:
    """Take back in advance what the next start counts as an interruption."""
    await _count_interruptions(node, -1)


async def _count_interruptions(node: ComputeNode, by: int) -> None:
    try:
        await node.journal.count_interruptions(IN_HAND, by)
    except Unavailable as e:  # a full disk: the node starts and stops all the same
        log.error("the interruptions of executions were not counted: %s", e)


async def _give_up_suspects(node: ComputeNode, entries: list[JournalEntry]) -> list[JournalEntry]:
    """Let executions fail during which the node's process ended too often, and return the others.

    Their containers go with all that nobody owns. A service or daemon that always runs is placed again, if possible on
    another node; another job ends, because it would end the next node too.
    """
    for entry in entries:
        if entry.interruptions > node.max_interruptions:
            execution = entry.execution
            error = EngineFailure(
                f"the process of its node ended {entry.interruptions} times, without an orderly stop, while it had this"
                " execution: it is not taken up again, because it may be the cause",
                hint="read the log of the node; if the cause is another one, submit the job again",
                retryable=execution.job is not None and execution.job.type in LONG_RUNNING,
            )
            log.error("execution %s: %s", execution.id, error.message)
            output = await asyncio.to_thread(read_output, node.execution_folder(execution.id) / "result", -1)
            await report_end(node, execution, FINISHED, tell_outcome(execution, Outcome(output, error=error)))
    return [entry for entry in entries if entry.interruptions <= node.max_interruptions]


async def _tell_cancelled(node: ComputeNode) -> None:
    """Report the end of executions that an earlier process was told to stop."""
    for entry in await node.journal.list_executions((CANCELLING,)):
        result = node.execution_folder(entry.execution.id) / "result"
        code = await asyncio.to_thread(read_exit_code, result)
        await report_end(
            node,
            entry.execution,
            CANCELLED,
            tell_cancelled(entry.execution, read_output(result, -1 if code is None else code)),
        )


def _wants_ports(execution: Execution) -> bool:
    """Tell whether an execution wants ports: until its engine was reached, others may take those it was given."""
    network = execution.job.task.network if execution.job else None
    return bool(network and network.ports)


def _readopt(node: ComputeNode, execution: Execution) -> bool:
    """Ports, GPUs and room of what may still run are its own before anybody else is served.

    False when the engine was not reached.
    """
    attempt = read_attempt(node.execution_folder(execution.id))
    if attempt is None:
        return False
    node.capacity.adopt(execution.id, execution.reserved, attempt.gpus)
    if attempt.ports:
        node.pool.adopt(execution.id, attempt.ports)
    return True


async def tidy_forever(node: ComputeNode) -> None:
    """Old records and old output of finished executions go, at start and now and then, and what engines could not
    remove at once.
    """
    while True:
        try:
            before = now_ns() - int(node.keep_seconds * SECOND) if node.keep_seconds else 0
            await expire_kept(node)
            await node.journal.prune((FINISHED, CANCELLED), before, node.keep_records or sys.maxsize)
            await asyncio.to_thread(_sweep_folders, node, await _unfinished(node) | node.kept.keys())
            if node.cache is not None:
                trees = await asyncio.to_thread(node.cache.shelf.list_trees)  # before those are known that need them
                await node.cache.tidy(trees - await _unfinished(node) - node.prefetches.tasks.keys())
            await asyncio.sleep(TIDY_EVERY)
            await _sweep_engines(node, await _unfinished(node), logging.DEBUG)
        except Unavailable as e:
            log.error("old records were not removed: %s", e)
            await asyncio.sleep(TIDY_EVERY)


async def _unfinished(node: ComputeNode) -> frozenset[str]:
    return frozenset(await node.journal.list_ids(ACTIVE))


async def _sweep_engines(node: ComputeNode, keep: frozenset[str], level: int = logging.WARNING) -> bool:
    """Remove leftovers of engines; return True if all engines could be searched. Failures are logged at `level`."""
    complete = True
    for name, engine in node.plugins.engines.items():
        if isinstance(engine, Sweeps):
            try:
                for execution_id in await engine.sweep(node.node_id, keep):
                    log.info("removed what %s left of execution %s", name, execution_id)
            except Exception as e:  # an engine of another package may raise anything, and the node starts all the same
                complete = False
                trace = None if isinstance(e, BacalhauError) else e
                log.log(level, "leftovers of %s were not looked for: %s", name, e, exc_info=trace)
    return complete


def _sweep_folders(node: ComputeNode, keep: frozenset[str]) -> None:
    node.folder.mkdir(parents=True, exist_ok=True)
    for folder in node.folder.iterdir():
        with suppress(FileNotFoundError):  # it may be going right now
            if (
                node.keep_seconds
                and folder.name not in keep
                and time.time() - folder.stat().st_mtime > node.keep_seconds
            ):
                remove_tree(folder)
