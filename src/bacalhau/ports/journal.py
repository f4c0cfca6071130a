"""The port of the journal: the memory of a compute node, so that a restart loses neither work nor reports."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from bacalhau.models.execution.execution import Execution
from bacalhau.ports.figures import Watched


class JournalEntry(NamedTuple):
    """An accepted execution with its job (`Job.specification`). `state` is the node's own word.

    `interruptions`: how often the node's process ended without an orderly stop while it had the execution.
    """

    execution: Execution
    state: str
    interruptions: int = 0


class PendingReport(NamedTuple):
    """A report that the orchestrator has not acknowledged; `seq` grows for ever, also over restarts."""

    seq: int
    execution_id: str
    type: str
    body: bytes


class ExecutionJournal(Protocol):
    """Every method is durable when it returns."""

    async def put_execution(self, execution: Execution) -> bool:
        """Accept an execution in state "". False, and nothing changes, when it is known or was tombstoned."""
        ...

    async def set_state(self, execution_id: str, state: str) -> None:
        """Write the state of an execution. Raises Conflict when it is not in the journal."""
        ...

    async def count_interruptions(self, states: Iterable[str], by: int) -> None:
        """Add `by` to the interruptions of all executions in one of `states`."""
        ...

    async def list_executions(self, states: Iterable[str]) -> list[JournalEntry]:
        """List the executions in one of `states`, oldest first."""
        ...

    async def list_ids(self, states: Iterable[str]) -> list[str]:
        """List the ids of the executions in one of `states`, oldest first."""
        ...

    async def tombstone(self, execution_id: str) -> bool:
        """Note a cancel that overtakes its start, once or again: a later `put_execution` will say False.

        False here when it was accepted.
        """
        ...


class ReportJournal(Protocol):
    async def put_report(self, execution_id: str, state: str, type: str, body: bytes) -> int:
        """Set the execution's state ("" leaves it; unknown executions are fine) and keep the report, in one
        transaction; its number.
        """
        ...

    async def list_reports(self, after: int, limit: int) -> list[PendingReport]:
        """Unacknowledged reports with a higher number than `after`, in order; `limit` 0 is all."""
        ...

    async def drop_reports(self, seqs: Iterable[int]) -> None:
        """Forget acknowledged reports."""
        ...


class JournalCare(Protocol):
    async def prune(self, states: Iterable[str], before: int, keep: int) -> int:
        """Drop executions in `states` (the node's words for finished), and tombstones, last changed before `before`
        (Unix ns).

        Beyond the `keep` newest of them, younger ones go too. Those with unacknowledged reports stay. Returns how many
        were dropped.
        """
        ...


class Journal(ExecutionJournal, ReportJournal, JournalCare, Watched, Protocol):
    """All of it, as one adapter offers it."""
