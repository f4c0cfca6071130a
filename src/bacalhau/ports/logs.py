"""The port of logs: the orchestrator keeps what executions print, so that it outlives their nodes.

A log is two streams of bytes, each counted from its start. Pieces of both lie in the order in which they arrived.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

STDOUT, STDERR = 1, 2


class Offsets(NamedTuple):
    """A place in a log: how many bytes of each stream lie before it."""

    stdout: int = 0
    stderr: int = 0

    def of(self, stream: int) -> int:
        return self.stderr if stream == STDERR else self.stdout

    def moved(self, stream: int, offset: int) -> "Offsets":
        return self._replace(stderr=offset) if stream == STDERR else self._replace(stdout=offset)


class Piece(NamedTuple):
    """`data` of one stream from `offset` on. An offset beyond the end of the piece before tells that bytes
    are missing.
    """

    stream: int
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


class Append(NamedTuple):
    """A piece of an execution's log. What is there already is not written again."""

    execution_id: str
    piece: Piece


class Quota(NamedTuple):
    """Bytes of one log, bytes of all, and seconds since a log's last change after which it goes; 0 is no limit."""

    one: int = 0
    all: int = 0
    age: float = 0


class LogCursor(Protocol):
    """A reader's place in one log. Blocking: for threads."""

    def read(self) -> list[Piece]:
        """The next pieces, at most about 1 MiB; empty when there is nothing more now.

        Pieces without data only tell of missing bytes.
        """
        ...


class LogStore(Protocol):
    """Blocking: for threads, which may be many."""

    def append(self, parts: Sequence[Append]) -> None:
        """Add a piece at the end. Beyond the quota the middle of a log goes. Raises Unavailable when the disk does not
        take it.
        """
        ...

    def finish(self, execution_id: str) -> None:
        """Nothing more will come: durable on return."""
        ...

    def place(self, execution_id: str) -> tuple[Offsets, bool] | None:
        """Return where the log ends, and whether it is finished; None when there is none."""
        ...

    def cursor(self, execution_id: str, at: Offsets) -> LogCursor:
        """A reader that starts at `at`; the log need not be there yet."""
        ...


class SweptLogs(Protocol):
    """A LogStore's own housekeeping. Blocking, too."""

    def sweep(self, now: float) -> list[str]:
        """Remove what is too old at `now` (Unix seconds) and, the oldest first, what is too much; returns the
        executions.
        """
        ...

    def remove(self, execution_ids: Iterable[str]) -> None:
        """Forget the logs of executions, those that are there."""
        ...


class Logs(LogStore, SweptLogs, Protocol):
    """All of it, as one adapter offers it."""
