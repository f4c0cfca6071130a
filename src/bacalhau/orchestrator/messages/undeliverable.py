"""The end of an execution whose node can never get its start: the node counts as one that refused it."""

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.lib.wire import decode
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.wire.messages import AskForBid, Wish
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import commit_and_evaluate
from bacalhau.ports.store import PendingMessage


async def refuse_execution(orch: Orchestrator, message: PendingMessage, reason: str) -> None:
    """End the execution of a message that cannot be delivered, and evaluate its job. Raises Conflict and Unavailable.

    An execution that is over already stays as it is.
    """
    try:
        execution, _ = await orch.store.load_execution(_execution_id(message))
    except NotFound:
        return
    if execution.is_live and execution.node_id == message.node_id:
        await _refuse(orch, execution, reason)


async def _refuse(orch: Orchestrator, execution: Execution, reason: str) -> None:
    now, details = now_ns(), {"Retryable": "true", "IsError": "true"}
    rejected = execution.moved(
        ComputeStateType.ASK_FOR_BID_REJECTED, now, reason, details=details, why="the node cannot be told"
    )
    entry = HistoryEntry(
        job_id=execution.job_id,
        job_version=execution.job_version,
        event=make_event(Topic.SCHEDULING, reason, now, **details),
        execution_id=execution.id,
    )
    change = Change(executions=(rejected,), history=(entry,))
    try:
        await commit_and_evaluate(orch, change, execution.job_id, orch.views.with_execution(rejected))
    except Conflict:
        orch.views.forget(execution.job_id)
        raise


def _execution_id(message: PendingMessage) -> str:
    if message.type == "AskForBid":
        return decode(message.body, AskForBid).execution.id
    return decode(message.body, Wish).execution_id
