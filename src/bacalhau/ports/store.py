"""The port of the store, the orchestrator's memory. One transaction is one `Change`; everything else is reading."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.inventory import InputSummary, Row, Shares
from bacalhau.models.job.job import Job
from bacalhau.models.job.submission import Submission
from bacalhau.models.node.node import NodeState
from bacalhau.models.wire.lineage import LineageReader
from bacalhau.ports.figures import OpenCounts, Watched

# Fields by the names of the orders of lists
ORDERS = {
    "": "create_time",
    "created_at": "create_time",
    "create_time": "create_time",
    "modified_at": "modify_time",
    "modify_time": "modify_time",
    "id": "id",
    "state": "state",
}


class Place(NamedTuple):
    """A place in an ordered list: behind the item that has this `key` in the list's order, and this id."""

    key: int | str
    id: str


def place_of(item: Job | Execution, order_by: str) -> Place:
    """Return the place behind an item in a list of that order."""
    return Place(getattr(item, ORDERS[order_by]), item.id)


class JobQuery(NamedTuple):
    """`namespace` "" or "*" is all; `order_by` of created_at, modified_at, id; `limit` 0 is no limit.

    `after` is the place where the page before ended. What is added meanwhile moves nothing.
    """

    namespace: str = ""
    order_by: str = "created_at"
    reverse: bool = False
    limit: int = 0
    after: Place | None = None


class ExecutionPage(NamedTuple):
    """`order_by` of created_at, modified_at, id, state; `limit` 0 is no limit; `after` as in a JobQuery; `prefix` is
    how the ids begin.
    """

    order_by: str = "created_at"
    reverse: bool = False
    limit: int = 0
    after: Place | None = None
    prefix: str = ""


ALL = ExecutionPage()


class Found(NamedTuple):
    """Answer about executions: whether there are any, and whether any of them is live."""

    any: bool
    live: bool


class HistoryQuery(NamedTuple):
    """Rows after `after_seq`, of `job_version` (0: latest; -1: all), `level` of "", JobLevel, ExecutionLevel."""

    job_id: str
    after_seq: int = 0
    limit: int = 100
    job_version: int = -1
    level: str = ""
    execution_id: str = ""
    since: int = 0


class HistoryCursor(NamedTuple):
    """The position of a reader of the events of all jobs: they are in the order of `time` (Unix ns)."""

    time: int
    job: int = 0
    seq: int = 0


class StoredEvent(NamedTuple):
    place: HistoryCursor
    namespace: str
    event: JobHistory


class PendingMessage(NamedTuple):
    seq: int
    node_id: str
    type: str
    body: bytes


class JobReader(Protocol):
    """Reading for the API."""

    async def find_job(self, id_or_name: str, namespace: str = "") -> Job:
        """Find a job by exact name in the namespace, then by id, then by unique id prefix.

        Raises NotFound or Conflict (ambiguous).
        """
        ...

    async def list_jobs(self, query: JobQuery) -> list[Job]: ...

    async def number_jobs(self, query: JobQuery) -> list[int]:
        """List the numbers under which the store keeps the jobs of a list, in its order, as it is at one moment."""
        ...

    async def load_jobs(self, namespace: str, numbers: Sequence[int]) -> list[Job]:
        """Read jobs of a namespace by these numbers, in this order, but for those that are gone. An empty namespace or
        `*` stands for all.
        """
        ...

    async def number_executions(self, job_id: str, job_version: int, page: ExecutionPage = ALL) -> list[int]:
        """List the numbers of the executions that `list_executions` would list."""
        ...

    async def load_executions(self, job_id: str, numbers: Sequence[int]) -> list[Execution]:
        """Read executions of a job by these numbers, in this order, but for those that are gone."""
        ...

    async def list_executions(self, job_id: str, job_version: int, page: ExecutionPage = ALL) -> list[Execution]:
        """List executions with their jobs filled in, all as they were at one moment; `job_version` 0 is the latest,
        -1 all.
        """
        ...

    async def find_executions(self, job_id: str, prefix: str) -> Found:
        """Tell whether a job has executions whose ids begin so, and live ones. An unknown job has none."""
        ...

    async def list_history(self, query: HistoryQuery) -> list[JobHistory]: ...

    async def list_events(self, after: HistoryCursor, limit: int) -> list[StoredEvent]:
        """List events of all jobs, in the order in which they became visible."""
        ...


class VersionReader(Protocol):
    async def find_submission(self, namespace: str, token: str) -> Submission | None:
        """Find what the submission with a token of its client became. Return None where there was none."""
        ...

    async def get_job_version(self, job_id: str, version: int) -> Job: ...

    async def list_job_versions(self, job_id: str) -> list[Job]: ...

    async def find_results(self, keys: Sequence[str]) -> list[tuple[str, Execution]]:
        """Find the executions that ended last of the partitions with these hashes, the newest first, without their
        jobs.
        """
        ...

    async def list_readers(self, job_id: str, limit: int) -> list[LineageReader]:
        """List the versions of jobs that take results of a job, oldest first."""
        ...


class PlanStore(Protocol):
    """Reading and writing for scheduling and for messages of nodes."""

    async def load_views(self, job_ids: list[str]) -> dict[str, JobView]: ...

    async def load_execution(self, execution_id: str) -> tuple[Execution, Job]:
        """The execution and its job as it is now. Raises NotFound."""
        ...

    async def apply(self, change: Change) -> list[int]:
        """Apply whole or raise Conflict; durable on return.

        Returns the sequence numbers of the change's messages, in order.
        """
        ...

    async def list_open_jobs(self) -> list[Job]:
        """All jobs that are not finished."""
        ...


class LiveReader(Protocol):
    async def list_live_executions(self) -> list[Execution]:
        """All executions that hold capacity."""
        ...


class OutboxStore(Protocol):
    async def list_messages(self, node_id: str, after_seq: int, limit: int) -> list[PendingMessage]:
        """Unacknowledged messages to a node in order."""
        ...

    async def drop_messages(self, seqs: list[int]) -> None:
        """Forget acknowledged messages."""
        ...

    async def put_dead_letter(self, source: str, reason: str, body: bytes) -> None:
        """Set aside a message that nobody can handle."""
        ...


class DraftPage(NamedTuple):
    """Objects of one input of an inventory, as many as make a page, in the order of their partitions and keys."""

    input: int
    rows: list[Row]


class InventoryDraft(Protocol):
    """The objects of a job's inputs while they are listed. It keeps them sorted, without holding them in memory."""

    async def add(self, index: int, rows: Sequence[Row], marks: Sequence[str]) -> int:
        """Add objects of an input, in any order; return how many were added so far. `marks` name the groups that stay
        together, one for each row, or none. An object that comes twice is kept once.
        """
        ...

    async def share(self, index: int, by: str, count: int) -> InputSummary:
        """End an input: check that its objects fit in one folder, and share them out (`ports.storage.Sharing.by`) among
        `count` partitions. Raises StorageFailure.
        """
        ...

    async def summarize(self, inputs: Sequence[InputSummary], count: int) -> Shares | None:
        """Sum up what each of `count` partitions reads of these inputs; None where none of them is shared out."""
        ...

    def pages(self) -> AsyncIterator[DraftPage]:
        """Read all objects, input by input."""
        ...


class DraftStore(Protocol):
    def draft_inventory(self) -> AbstractAsyncContextManager[InventoryDraft]:
        """Open an empty draft, which is gone with the block."""
        ...

    async def list_inventories(self, job_ids: Sequence[str]) -> list[str]:
        """List the roots of the inventories of all versions of these jobs."""
        ...

    async def list_open_inventories(self) -> list[str]:
        """List the roots of the inventories of jobs that are not finished."""
        ...


class Limits(NamedTuple):
    """Limits of an age and a number: what is older than `before` (Unix ns) goes, and what is beyond the `keep` newest;
    0 is no limit.
    """

    before: int = 0
    keep: int = 0


class Swept(NamedTuple):
    """The ids of executions that were removed, and the messages, in the outbox already, by which nodes hear that the
    outputs that they keep of these are of no use any more. `proofs` are the ids of those that have a proof, each with
    the name of its root.
    """

    execution_ids: list[str]
    messages: list[PendingMessage]
    proofs: tuple[tuple[str, str], ...] = ()


class RetentionStore(DraftStore, Protocol):
    """Forgetting in steps of at most `count`, each a short transaction."""

    async def list_expired_jobs(self, limits: Limits, count: int) -> list[str]:
        """Finished jobs beyond the limits, counted from their end, oldest first."""
        ...

    async def forget_jobs(self, job_ids: Sequence[str]) -> None:
        """Remove jobs at once from all that can be read; those that are open again stay. `sweep_forgotten` does the
        rest.
        """
        ...

    async def list_large_versions(self, job_ids: Sequence[str], size: int) -> list[Job]:
        """List the versions of jobs that are stored in more than so many bytes."""
        ...

    async def list_reused_content(self) -> list[str]:
        """List the CIDs of results that known jobs took of earlier ones."""
        ...

    async def list_published_content(self, besides: str) -> list[str]:
        """List the CIDs of all results that are published to IPFS, but for those of the job `besides`."""
        ...

    async def sweep_forgotten(self, count: int) -> tuple[Swept, bool]:
        """Remove at most `count` executions, events and versions of forgotten jobs. Return what went, and whether
        something is left.
        """
        ...

    async def list_long_jobs(self, executions: Limits, history: Limits, versions: Limits) -> list[str]:
        """Jobs that go on, or had several versions, and may be beyond a limit."""
        ...

    async def forget_executions(self, job_id: str, execution_ids: Sequence[str]) -> Swept:
        """Remove ended executions of a job with their events. Return those that were there."""
        ...

    async def forget_history(self, job_id: str, keep: int, count: int) -> int:
        """Remove at most `count` of the oldest events of a job, all but the newest `keep`. Return how many went.

        `keep` is more than 0, so that numbers are never given twice.
        """
        ...

    async def forget_versions(self, job_id: str, keep: int) -> None:
        """Remove all but the newest versions of a job, `keep` at most, and those that a known execution ran in; more
        than 0.
        """
        ...

    async def forget_messages_to_strangers(self) -> None:
        """Remove what was to be sent to nodes that are not known."""
        ...

    async def forget_dead_letters(self, limits: Limits, count: int) -> int:
        """Remove dead letters beyond the limits. Return how many were removed."""
        ...


class NodeStore(Protocol):
    async def list_nodes(self) -> list[NodeState]: ...

    async def put_node(self, node: NodeState, secret: str) -> None:
        """Create or replace. `secret` is the hash the node must present to come back; "" leaves the stored one."""
        ...

    async def find_node(self, node_id: str) -> NodeState | None:
        """Find a node; None when no such node ever joined."""
        ...

    async def delete_node(self, node_id: str) -> None:
        """Forget the node, its secret and what was to be sent to it; deleting nobody is fine."""
        ...

    async def node_secret(self, node_id: str) -> str:
        """The stored hash, "" when the node is unknown or has none."""
        ...


class Store(JobReader, VersionReader, PlanStore, LiveReader, OutboxStore, RetentionStore, NodeStore, Watched, Protocol):
    """All of it, as one adapter offers it."""

    async def count_open(self) -> OpenCounts:
        """Count unfinished jobs and live executions by their states."""
        ...
