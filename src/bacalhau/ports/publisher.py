"""What stores the result of a task where it outlives the node."""

from pathlib import Path
from typing import NamedTuple, Protocol

from bacalhau.models.spec import SpecConfig
from bacalhau.ports.progress import Report


class Result(NamedTuple):
    """The result tree at `folder`: files stdout, stderr, exitCode and one directory per result path.

    `started` (Unix ns) is the execution's creation, so that publishing again after a crash expands `{date}` and `{time}` alike.
    """

    folder: Path
    publisher: SpecConfig
    job_id: str
    execution_id: str
    node_id: str
    started: int


class Publisher(Protocol):
    """Failures are PublisherFailure; `retryable` where a retry can help."""

    async def check(self) -> None:
        """Return when this publisher can be used on this node, else raise Unavailable saying why."""
        ...

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        """Store the tree (stage "publishing") and return where it is; doing it twice leaves one result."""
        ...
