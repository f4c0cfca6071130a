"""Reports of nodes: each becomes a changed execution and another evaluation of its job. Safe to repeat."""

import logging

import msgspec

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.wire import Model, encode
from bacalhau.models.execution.event import Event, Topic, make_event
from bacalhau.models.execution.execution import (
    KEPT_UNTIL,
    ComputeStateType,
    DesiredStateType,
    Execution,
    RunCommandResult,
)
from bacalhau.models.execution.plan import Change, HistoryEntry, OutgoingMessage
from bacalhau.models.job.job import Job
from bacalhau.models.job.retry import ENGINE, FAILURE_KIND, PUBLISH, STAGING, TIMEOUT
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import BidAccepted, BidResult, ComputeError, ForgetOutputs, Progress, RunResult
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import commit_and_evaluate
from bacalhau.orchestrator.messages.ends import note_end, wants_end
from bacalhau.orchestrator.messages.results import without_false_result
from bacalhau.orchestrator.scheduling.retry import decide_fault
from bacalhau.orchestrator.state.proofs import without_excess
from bacalhau.ports.bus import Delivery

ATTEMPTS = 5
Reported = RunResult | ComputeError | BidResult
_KINDS: dict[str, str] = {
    Topic.DOWNLOADING_INPUTS: STAGING,
    Topic.PUBLISHING_RESULTS: PUBLISH,
    Topic.EXEC_TIMEOUT: TIMEOUT,
}
"""The kinds of failure of nodes that tell none, by the topic of their event."""
log = logging.getLogger(__name__)


async def on_message(orch: Orchestrator, delivery: Delivery) -> None:
    """Handle a node's message, durably on return, and then note its number."""
    numbers = orch.cluster.numbers(delivery.node_id)
    numbers.begin(delivery.seq)
    await _handle(orch, delivery)
    numbers.done(delivery.seq)


async def _handle(orch: Orchestrator, delivery: Delivery) -> None:
    message = delivery.message
    if isinstance(message, Reported):
        await _update(orch, delivery, message)
    else:
        log.warning("%s from %s is not a message for an orchestrator", delivery.type, delivery.node_id)


def on_progress(orch: Orchestrator, delivery: Delivery) -> None:
    """Note the progress of a live execution of the node. Any other progress would be kept for ever."""
    told = delivery.message
    if isinstance(told, Progress) and orch.cluster.holds(delivery.node_id, told.execution_id, told.job_id):
        orch.board.put_progress(told)


async def _update(orch: Orchestrator, delivery: Delivery, message: Reported) -> None:
    for _ in range(ATTEMPTS):
        try:
            stored, job = await _stored(orch, message)
        except NotFound:
            log.warning(
                "%s from %s for unknown execution %s is ignored", delivery.type, delivery.node_id, message.execution_id
            )
            if unwanted := _disown(delivery.node_id, message):
                await orch.commit(Change(messages=unwanted))
            return
        if stored.node_id != delivery.node_id or not (stored.is_live or wants_end(stored, message)):
            return
        if not isinstance(message, BidResult):
            orch.permits.end(stored.id)
            message = await without_false_result(orch, stored, job, message)
        updated, events = _changed(stored, job, message) if stored.is_live else note_end(stored, message)
        history = tuple(
            HistoryEntry(job_id=stored.job_id, job_version=stored.job_version, event=event, execution_id=stored.id)
            for event in events
        )
        try:
            reach(Point.HEARD)
            noted = Change(executions=(updated,), history=history, messages=_answer(updated, message))
            if job.is_done and not stored.is_live:
                await orch.commit(noted)  # nothing follows from it
            else:
                await commit_and_evaluate(orch, noted, stored.job_id, orch.views.with_execution(updated))
            reach(Point.NOTED)
        except Conflict:
            orch.views.forget(stored.job_id)
            continue
        return
    raise Conflict(f"execution {message.execution_id} keeps changing")


async def _stored(orch: Orchestrator, message: Reported) -> tuple[Execution, Job]:
    """Find an execution with its job. Raises NotFound."""
    known = orch.views.find(message.job_id, message.execution_id)
    return known or await orch.store.load_execution(message.execution_id)


def _disown(node_id: str, message: Reported) -> tuple[OutgoingMessage, ...]:
    """Tell a node that keeps outputs of an execution that is forgotten: nobody can ask for them any more."""
    if not any((event.details or {}).get(KEPT_UNTIL) for event in message.events or ()):
        return ()
    body = encode(ForgetOutputs(execution_id=message.execution_id))
    return (OutgoingMessage(node_id=node_id, type="ForgetOutputs", body=body),)


def _answer(execution: Execution, message: Model) -> tuple[OutgoingMessage, ...]:
    """An accepted bid is confirmed; capacity was reserved when the execution was placed."""
    if (
        isinstance(message, BidResult)
        and message.accepted
        and execution.desired_state.state_type == DesiredStateType.PENDING
    ):
        body = encode(BidAccepted(execution_id=execution.id, accepted=True))
        return (OutgoingMessage(node_id=execution.node_id, type="BidAccepted", body=body),)
    return ()


def _changed(execution: Execution, job: Job, message: Reported) -> tuple[Execution, tuple[Event, ...]]:
    if isinstance(message, RunResult):
        return _completed(execution, job, message)
    return _failed(execution, message) if isinstance(message, ComputeError) else _bid(execution, message)


def _completed(execution: Execution, job: Job, message: RunResult) -> tuple[Execution, tuple[Event, ...]]:
    """Move an execution to its end. A service that ended has failed, and so has an exit code that the job names."""
    output = message.run_command_result or RunCommandResult()
    events = message.events or (make_event(Topic.EXECUTION, "Completed successfully", now_ns()),)
    text, kind = decide_fault(job, output.exit_code)
    details = {"Image": message.image} if message.image else {}
    if kind:
        details |= {"IsError": "true", "Retryable": "true", FAILURE_KIND: kind, "ExitCode": str(output.exit_code)}
        events = (make_event(Topic.EXECUTION, text, now_ns(), **details),)
        moved = execution.moved(ComputeStateType.FAILED, now_ns(), text, details=details, why="execution failed")
    else:
        moved = execution.moved(
            ComputeStateType.COMPLETED, now_ns(), "Completed", details=details or None, why="execution completed"
        )
    return msgspec.structs.replace(
        moved,
        published_result=message.publish_result or SpecConfig(),
        run_output=output,
        proof=without_excess(message.proof),
    ), events


def _failed(execution: Execution, message: ComputeError) -> tuple[Execution, tuple[Event, ...]]:
    events = message.events or (make_event(Topic.EXECUTION, "execution failed", now_ns(), IsError="true"),)
    details = {FAILURE_KIND: _KINDS.get(events[0].topic, ENGINE)} | (events[0].details or {})
    moved = execution.moved(
        ComputeStateType.FAILED, now_ns(), events[0].message, details=details, why="execution failed"
    )
    output = message.run_command_result or moved.run_output
    return msgspec.structs.replace(
        moved,
        run_output=output,
        published_result=message.publish_result or SpecConfig(),
        proof=without_excess(message.proof),
    ), events


def _bid(execution: Execution, message: BidResult) -> tuple[Execution, tuple[Event, ...]]:
    if message.accepted:
        state = execution.compute_state
        if message.ports:
            details = dict(state.details or {}) | {
                f"HostPort.{name}": address for name, address in message.ports.items()
            }
            state = msgspec.structs.replace(state, details=details)
        return msgspec.structs.replace(
            execution, compute_state=state, revision=execution.revision + 1, modify_time=now_ns()
        ), message.events or ()
    reason = message.events[0].message if message.events else "the node refused the execution"
    details = {"Retryable": "true"}
    return execution.moved(
        ComputeStateType.ASK_FOR_BID_REJECTED, now_ns(), reason, details=details, why="bid rejected"
    ), message.events or ()
