"""Messages from the orchestrator: take an execution, or give it up. Safe to repeat, in any order."""

import asyncio
import logging
from contextlib import suppress
from functools import partial

import msgspec

from bacalhau.compute.core import FINISHED, ComputeNode, Running
from bacalhau.compute.execution.ending import tell_cancelled, tell_gone, tell_outcome
from bacalhau.compute.execution.keeping import forget_kept
from bacalhau.compute.execution.outputs import read_output
from bacalhau.compute.execution.runner import Cancelled, Outcome, run_execution, stop_engine, try_stop
from bacalhau.compute.messages.admission import find_refusal
from bacalhau.compute.messages.outbox import report, report_end
from bacalhau.compute.remote.spec import fetch_job
from bacalhau.compute.state.kept import write_kept
from bacalhau.compute.state.ports import show_ports
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.failpoint import Point, reach
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import DesiredStateType, Execution, RunCommandResult
from bacalhau.models.job.job import Job
from bacalhau.models.job.network import NetworkConfig, PortMapping
from bacalhau.models.wire import messages as m
from bacalhau.ports.bus import Delivery
from bacalhau.ports.journal import JournalEntry

NEW, BID, ACCEPTED, CANCELLED = (
    "",
    "bid",
    "accepted",
    "cancelled",
)  # the journal's words; NEW is an ask not yet acted upon
CANCELLING = "cancelling"  # to be stopped, and its end not told yet
IN_HAND = (NEW, BID, ACCEPTED)  # a restarted node takes these up again
ACTIVE = (NEW, BID, ACCEPTED, CANCELLING)  # not ended, or the end not told yet
PORT_ATTEMPTS, PORT_PAUSE = 60, 0.1  # seconds; together more than the runner's STOP_GRACE
log = logging.getLogger(__name__)


async def list_active(node: ComputeNode) -> list[JournalEntry]:
    """List the executions that have not ended, or whose end is not told yet, oldest first."""
    return await node.journal.list_executions(ACTIVE)


async def on_message(node: ComputeNode, delivery: Delivery) -> None:
    """Handle an orchestrator's message, durably in the journal on return, and then note its number."""
    node.numbers.begin(delivery.seq)
    await _handle(node, delivery)
    node.numbers.done(delivery.seq)


async def _handle(node: ComputeNode, delivery: Delivery) -> None:
    message = delivery.message
    if isinstance(message, m.AskForBid):
        await _on_ask_for_bid(node, message)
    elif isinstance(message, m.BidAccepted):
        await _on_bid_accepted(node, message.execution_id)
    elif isinstance(message, m.BidRejected | m.CancelExecution):
        await cancel(node, message.execution_id)
    elif isinstance(message, m.PublishOutputs):
        await _on_publish(node, message)
    elif isinstance(message, m.ForgetOutputs):
        await forget_kept(node, message.execution_id)
    else:
        log.warning("%s is not a message for a node", delivery.type)


async def _on_ask_for_bid(node: ComputeNode, message: m.AskForBid) -> None:
    """Keep an execution and start it, or bid first where the orchestrator's desired state is Pending.

    Raises NotFound and Unavailable when its job has to be fetched and cannot be.
    """
    execution = message.execution
    if message.job_blocks:
        execution = msgspec.structs.replace(execution, job=await fetch_job(node, message.job_blocks))
    wanted_now = execution.desired_state.state_type == DesiredStateType.RUNNING
    reach(Point.NODE_ASKED)
    if not await node.journal.put_execution(execution):
        return
    reach(Point.NODE_ACCEPTED)
    if wanted_now:
        start(node, execution)
    else:
        node.crew.start(bid(node, execution))


async def bid(node: ComputeNode, execution: Execution) -> None:
    """Answer an orchestrator that wants a bid. Lack of room is no reason to refuse: the execution waits here."""
    reason = await find_refusal(node, execution)
    if reason:
        await _refuse(node, execution, reason)
    else:
        await report(node, execution.id, BID, _bid_result(execution, accepted=True))


async def _refuse(node: ComputeNode, execution: Execution, reason: str) -> None:
    log.info("execution %s is refused: %s", execution.id, reason)
    event = make_event(Topic.EXEC_SCANNING, reason, now_ns(), IsError="true", Retryable="true")
    await report(
        node, execution.id, FINISHED, msgspec.structs.replace(_bid_result(execution, accepted=False), events=(event,))
    )


def _bid_result(execution: Execution, *, accepted: bool) -> m.BidResult:
    job = execution.job or Job()
    return m.BidResult(execution_id=execution.id, job_id=job.id, job_type=job.type, accepted=accepted)


async def _on_bid_accepted(node: ComputeNode, execution_id: str) -> None:
    for entry in await node.journal.list_executions((BID,)):
        if entry.execution.id == execution_id:
            await node.journal.set_state(execution_id, ACCEPTED)
            start(node, entry.execution, admitted=True)


async def _on_publish(node: ComputeNode, message: m.PublishOutputs) -> None:
    """Take an execution up again to publish its kept outputs; where they are gone, it fails. Raises Unavailable where
    that cannot be noted.
    """
    execution_id = message.execution_id
    if execution_id in node.running:
        return
    if (kept := node.kept.get(execution_id)) is None:
        await report(node, execution_id, "", tell_gone(message))
        return
    record = msgspec.structs.replace(kept.record, publisher=message.publisher)
    try:
        await asyncio.to_thread(write_kept, node.execution_folder(execution_id), record)
    except OSError as e:
        raise Unavailable(f"publishing {execution_id} cannot begin: {e.strerror or e}") from e
    reach(Point.OUTPUTS_WANTED)
    await node.journal.set_state(execution_id, ACCEPTED)
    del node.kept[execution_id]
    start(node, kept.execution, admitted=True)


def start(node: ComputeNode, execution: Execution, *, admitted: bool = False) -> None:
    """Begin, or take up again after a restart; once. `admitted`: the node has agreed to it before."""
    if execution.id not in node.running:
        running = node.running[execution.id] = Running(partial(cancel, node, execution.id))
        node.crew.start(_carry_out(node, execution, running, admitted))


async def cancel(node: ComputeNode, execution_id: str) -> None:
    """Give the execution up.

    The tombstone also holds off an ask that arrives late; one that is just being kept begins meanwhile.
    Outputs that are kept stay.
    """
    if execution_id in node.kept:
        return
    if not await node.journal.tombstone(execution_id):
        await node.journal.set_state(execution_id, CANCELLED if node.running.get(execution_id) is None else CANCELLING)
    reach(Point.NODE_CANCELLED)
    running = node.running.get(execution_id)
    if running is None or running.cancelled:
        return
    running.cancelled = True
    running.cut_short()
    if running.engine is not None:
        node.crew.start(stop_engine(node, execution_id, running))


async def _admit(node: ComputeNode, execution: Execution) -> str:
    """Find the reason why the node does not take an execution; "" when it does, and has reserved its ports."""
    reason = await find_refusal(node, execution)
    if reason:
        return reason
    try:
        ports = await _reserve_ports(node, execution)
    except Unavailable as e:
        return e.message
    if ports:
        where = show_ports(ports, node.address)
        event = make_event(
            Topic.PREPARING_ENVIRONMENT,
            "Ports: " + ", ".join(f"{name} at {address}" for name, address in where.items()),
            now_ns(),
        )
        await report(
            node,
            execution.id,
            ACCEPTED,
            msgspec.structs.replace(_bid_result(execution, accepted=True), events=(event,), ports=where),
        )
    elif node.admission.probes:
        await node.journal.set_state(execution.id, ACCEPTED)
    return ""


async def _reserve_ports(node: ComputeNode, execution: Execution) -> tuple[PortMapping, ...]:
    """Reserve the ports of an execution. Raises Unavailable.

    Who has a port may be going: a task was told to stop, and its container's network is taken down after its end is
    known.
    """
    network = (execution.job or Job()).task.network or NetworkConfig()
    for _ in range(PORT_ATTEMPTS - 1):
        try:
            return node.pool.reserve(execution.id, network)
        except Unavailable as e:
            if not e.retryable:
                raise
        await asyncio.sleep(PORT_PAUSE)
    return node.pool.reserve(execution.id, network)


async def _carry_out(node: ComputeNode, execution: Execution, running: Running, admitted: bool) -> None:
    job = execution.job or Job()
    output: RunCommandResult | None = None
    try:
        reason = "" if admitted else await _admit(node, execution)
        if reason and not running.cancelled:
            # Rules may have changed since an earlier process of this node started it.
            running.engine = node.plugins.engines.get(job.task.engine.kind)
            await try_stop(execution.id, running)
            await _refuse(node, execution, reason)
            return
        outcome = await run_execution(node, execution, running)
        output = outcome.output
        await report_end(node, execution, FINISHED, tell_outcome(execution, outcome))
    except Cancelled:
        with suppress(
            BacalhauError
        ):  # it may have been admitted at the same moment; a full disk leaves that to the next handshake
            await node.journal.set_state(execution.id, CANCELLING)
        await try_stop(execution.id, running)
        output = read_output(node.execution_folder(execution.id) / "result", running.exit_code)
        await report_end(node, execution, CANCELLED, tell_cancelled(execution, output))
    except Exception as e:  # supervised: a fault of ours fails this execution, not the node
        log.exception("execution %s", execution.id)
        failure = Outcome(error=BacalhauError(f"internal error: {e!r}", retryable=True))
        await report_end(node, execution, FINISHED, tell_outcome(execution, failure))
    finally:
        node.pool.release(execution.id)
        node.running.pop(execution.id, None)
        node.shipping.end(execution.id, output)
        node.ended.fire()
