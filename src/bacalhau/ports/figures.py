"""Figures that a store gives about itself."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from bacalhau.lib.meter import Histogram


class StoreFigures(NamedTuple):
    """`commits` has the seconds of each commit, which many transactions may share."""

    commits: Histogram
    transactions: int


class OpenCounts(NamedTuple):
    """Everything that is not finished, counted by the name of its state."""

    jobs: Mapping[str, int]
    executions: Mapping[str, int]


class Watched(Protocol):
    """A store that can be watched from outside."""

    @property
    def figures(self) -> StoreFigures:
        """The commits so far."""
        ...

    async def check_writable(self) -> None:
        """Write to the disk without changing anything. Raises Unavailable when that cannot be done."""
        ...
