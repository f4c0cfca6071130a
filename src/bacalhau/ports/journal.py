"""What a compute node remembers, so that a restart loses neither work nor reports."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from bacalhau.models.execution import Execution


class JournalEntry(NamedTuple):
    """An accepted execution with its job. `state` is the node's own word, `image` the pinned image or "", `created` Unix ns."""

    execution: Execution
    state: str
    image: str
    created: int


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
        """Raises Conflict when the execution is not in the journal."""
        ...

    async def list_executions(self, states: Iterable[str] | None = None) -> list[JournalEntry]:
        """Those in one of `states` (None: all), oldest first."""
        ...

    async def tombstone(self, execution_id: str) -> bool:
        """For a cancel that overtakes its ask, once or again: a later `put_execution` will say False. False here when it was accepted."""
        ...


class ReportJournal(Protocol):
    async def put_report(self, execution_id: str, state: str, type: str, body: bytes) -> int:
        """Set the execution's state ("" leaves it; unknown executions are fine) and keep the report, in one transaction; its number."""
        ...

    async def list_reports(self, after: int, limit: int) -> list[PendingReport]:
        """Unacknowledged reports with a higher number than `after`, in order; `limit` 0 is all."""
        ...

    async def drop_reports(self, seqs: Iterable[int]) -> None:
        """Forget acknowledged reports."""
        ...


class ImageJournal(Protocol):
    async def put_image(self, execution_id: str, image: str) -> None:
        """The reference that pins the image this execution runs. Raises Conflict when the execution is not in the journal."""
        ...

    async def get_image(self, execution_id: str) -> str:
        """Empty when none was put."""
        ...


class NotesJournal(Protocol):
    """Small facts about the node: its id, its secret, how far it has heard the orchestrator."""

    async def get_meta(self, key: str) -> str:
        """Empty when the key was never put."""
        ...

    async def put_meta(self, key: str, value: str) -> None: ...

    async def get_last_orchestrator_seq(self) -> int:
        """The highest number put so far; 0 at first."""
        ...

    async def put_last_orchestrator_seq(self, seq: int) -> None:
        """A lower number than the stored one changes nothing."""
        ...


class JournalCare(Protocol):
    async def prune(self, states: Iterable[str], before: int, keep: int) -> int:
        """Drop executions in `states` (the node's words for finished), and tombstones, last changed before `before` (Unix ns).

        Beyond the `keep` newest of them, younger ones go too. Those with unacknowledged reports stay. Returns how many were dropped.
        """
        ...


class Journal(ExecutionJournal, ReportJournal, ImageJournal, NotesJournal, JournalCare, Protocol):
    """All of it, as one adapter offers it."""
