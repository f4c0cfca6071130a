"""The port of publishers, which store the result of a task where it outlives the node."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from bacalhau.border.names import shorten
from bacalhau.lib.hashing import Listener
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.proof import Written
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.progress import Report

Confirm = Callable[[], Awaitable[None]]
"""Returns while this attempt may publish; waits while that cannot be known; raises Conflict when another attempt may,
and it may not.
"""


async def always_allowed() -> None:
    """The Confirm of those who have no rival."""


class Result(NamedTuple):
    """The result tree at `folder`: files stdout, stderr, exitCode and one directory per result path.

    `started` (Unix ns) is the execution's creation, so that publishing again after a crash expands `{date}` and
    `{time}` alike. `confirm` is awaited right before the step that makes the result visible. `written` takes the files
    with their digests; None where nobody wants to know.
    """

    folder: Path
    publisher: SpecConfig
    job_id: str
    execution_id: str
    node_id: str
    started: int
    confirm: Confirm = always_allowed
    written: Written | None = None

    @property
    def tell(self) -> Listener | None:
        """The listener of a publisher that hashes files while it stores them; None where nobody wants to know."""
        return None if self.written is None else self.written.add


class Published(NamedTuple):
    """A result that a node reported, `publisher` and `namespace` of the job, and the execution that it must belong
    to. `record_job_id` and `record_id` are the job and the execution in whose record it stands, which are others where
    a result is used again.
    """

    result: SpecConfig
    publisher: SpecConfig
    job_id: str
    execution_id: str
    node_id: str
    namespace: str = ""
    record_job_id: str = ""
    record_id: str = ""

    @classmethod
    def of(cls, execution: Execution, job: Job, result: SpecConfig) -> "Published":
        """Put a result beside what decides whose it is. `job` is the version that the execution ran, or one that asks
        for the same.
        """
        publisher = execution.publisher or job.task.publisher or SpecConfig()
        record = execution.job_id, execution.id
        made_by = (execution.reused.job_id, execution.reused.execution_id) if execution.reused else record
        return cls(result, publisher, *made_by, execution.node_id, job.namespace, *record)


class ResultInput(NamedTuple):
    """The input that brings a published result, or the part of it at a path.

    `is_archive`: it brings one archive of the whole result. `pick` is where the part stands in what it brings, "" where
    it brings nothing else.
    """

    source: SpecConfig
    pick: str = ""
    is_archive: bool = False


class AsInput(Protocol):
    """The choice of the input that brings a result."""

    def __call__(self, spec: Published, path: str) -> ResultInput:
        """Say which input brings a result that was checked, or its part at a path. Raises BacalhauError."""
        ...


def wrong_type(published: Published, *kinds: str) -> list[str]:
    """List the fault of a result that is of none of these types."""
    found = published.result
    if found.is_type(*(kind.lower() for kind in kinds)):
        return []
    return [f"a result of type {' or '.join(kinds)} was expected, not {shorten(found.type)!r}"]


class ResultCheck(Protocol):
    """A pure check of a reported result."""

    def __call__(self, spec: Published) -> list[str]:
        """List why it cannot be one of its publisher's for that execution; empty when it can."""
        ...


@runtime_checkable
class Publisher(Protocol):
    """Failures are PublisherFailure; `retryable` where a retry can help."""

    async def check(self) -> None:
        """Return when this publisher can be used on this node, else raise Unavailable saying why."""
        ...

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        """Store the tree (stage "publishing") and return where it is; doing it twice leaves one result."""
        ...
