"""Outputs that nodes kept because they could not be published: which there are, and the order to publish them.

The execution becomes live again, so that all rules for what publishes hold: one attempt in a slot, the permit, the
node that is lost. Its job stays as it ended, until every result is there.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bacalhau.lib.clock import from_rfc3339
from bacalhau.lib.wire import encode
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.plan import HistoryEntry, OutgoingMessage
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import CONNECTED
from bacalhau.models.wire.messages import PublishOutputs
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.scheduling.view import Slot, slot_of

HELD_BY = (ComputeStateType.FAILED, ComputeStateType.CANCELLED)


class Late(NamedTuple):
    """Executions as they shall be, with what is to be noted and sent."""

    executions: tuple[Execution, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    messages: tuple[OutgoingMessage, ...] = ()


def list_kept(view: JobView, now: int) -> list[Execution]:
    """List the newest execution with kept outputs of each slot of a job's present version, in order of partitions.

    Slots that have a result, and those in which something runs, are left out.
    """
    found: dict[Slot, Execution] = {}
    settled: set[Slot] = set()
    for execution in view.current():
        slot = slot_of(execution, view.job.type)
        if execution.is_live or execution.state == ComputeStateType.COMPLETED or execution.published_result.type:
            settled.add(slot)
        elif execution.state in HELD_BY and is_kept(execution, now):
            known = found.get(slot)
            if known is None or known.modify_time < execution.modify_time:
                found[slot] = execution
    return sorted((e for slot, e in found.items() if slot not in settled), key=lambda e: (e.partition_index, e.id))


def is_kept(execution: Execution, now: int) -> bool:
    """Tell whether a node has said that it keeps the outputs of an execution until later than now (Unix ns)."""
    return bool(execution.kept_until) and from_rfc3339(execution.kept_until) > now


def is_there(orch: Orchestrator) -> Callable[[Execution], bool]:
    """Make the function that tells whether the node of an execution is connected."""

    def tell(execution: Execution) -> bool:
        node = orch.cluster.get(execution.node_id)
        return node is not None and node.connection_state.status == CONNECTED

    return tell


def publish_late(
    executions: Iterable[Execution], job: Job, publisher: SpecConfig, now: int, *, may_run_again: bool = False
) -> Late:
    """Plan the publishing of kept outputs, in the job's version."""
    live = tuple(execution.publishing(publisher, job.version, now) for execution in executions)
    text = f"Publishing the kept outputs ({publisher.type})"
    return Late(
        live,
        tuple(
            HistoryEntry(
                job_id=job.id,
                job_version=job.version,
                event=make_event(Topic.PUBLISHING_RESULTS, text, now, NodeID=e.node_id),
                execution_id=e.id,
            )
            for e in live
        ),
        tuple(
            OutgoingMessage(
                node_id=e.node_id,
                type="PublishOutputs",
                body=encode(
                    PublishOutputs(execution_id=e.id, job_id=job.id, publisher=publisher, may_run_again=may_run_again)
                ),
            )
            for e in live
        ),
    )


@contextmanager
def holding(orch: Orchestrator, executions: Iterable[Execution], job: Job) -> Iterator[None]:
    """Count executions as live ones of their nodes from the block on, in which they are written; not where it fails."""
    new = [execution for execution in executions if orch.cluster.find_held(execution.id) is None]
    for execution in new:
        orch.cluster.hold(execution, job)
    try:
        yield
    except BaseException:
        orch.release(new)
        raise
