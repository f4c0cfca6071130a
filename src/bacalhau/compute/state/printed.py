"""Output of executions that the orchestrator does not have yet, read from their files in small parts.

The files are the buffer: nothing is kept in memory but how far the orchestrator's copy of each log reaches.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.order import order_path, read_spans
from bacalhau.border.printed import LIMIT, read_stretch
from bacalhau.lib.aio import Signal
from bacalhau.models.execution.execution import RunCommandResult
from bacalhau.models.wire.messages import LogPart, PutLogsResponse
from bacalhau.ports.logs import STDERR, STDOUT, Offsets

BATCH = 512 * 1024  # bytes of output in a message; as base64 they fit NATS' 1 MiB
LEAST = 16 * 1024  # bytes of one log in a message, so that none is cut into crumbs
MOST = 1000  # logs in a message
PARTS = 2 * MOST  # and parts of them, of which those of streams that take turns are small
QUIET = 0.25  # seconds after which an execution's output is sent while it runs
FILES = ((STDOUT, "stdout"), (STDERR, "stderr"))


@dataclass
class Printed:
    """One execution's log.

    `end` is where the orchestrator's copy ends, None when it must be asked; `since` is monotonic seconds.
    """

    end: Offsets | None = field(default_factory=Offsets)
    since: float = field(default_factory=time.monotonic)
    is_over: bool = False
    is_unwanted: bool = False


@dataclass
class Shipping:
    """The logs of a node.

    `limit` is how many bytes of one the orchestrator keeps, 0 all; `kept` how many of a stream this node. `more` wakes
    the sender.
    """

    logs: dict[str, Printed] = field(default_factory=dict)
    limit: int = 0
    kept: int = LIMIT
    more: Signal = field(default_factory=Signal)

    def begin(self, execution_id: str) -> None:
        """It may print from now on."""
        self.logs[execution_id] = Printed()

    def end(self, execution_id: str, output: RunCommandResult | None) -> None:
        """It prints no more.

        What its record holds whole need not be sent as well; without a record even silence is told.
        """
        log = self.logs.pop(execution_id, None)
        if (output is None or not output.is_whole) and not (log and log.is_unwanted):
            self.finish(execution_id, log or Printed())

    def finish(self, execution_id: str, log: Printed) -> None:
        """Send what is left of it."""
        log.is_over = True
        self.logs[execution_id] = log
        self.more.fire()

    def due(self) -> list[tuple[str, Printed]]:
        """Whose output is to be looked at now, who waited longest first."""
        now = time.monotonic()
        due = (
            (i, log)
            for i, log in self.logs.items()
            if not log.is_unwanted and (log.is_over or now - log.since >= QUIET)
        )
        return list(islice(due, MOST))

    def note(self, answer: PutLogsResponse, ended: Sequence[str]) -> None:
        """The orchestrator has this much."""
        self.limit = answer.limit
        for end in answer.ends:
            log = self.logs.pop(end.execution_id, None)
            if log is not None:
                log.end, log.is_unwanted = Offsets(end.stdout, end.stderr), end.unwanted
                if not log.is_over or not (end.unwanted or end.execution_id in ended):
                    self.logs[end.execution_id] = log


class Batch(NamedTuple):
    """`ended` are the executions of which nothing is left behind these parts."""

    parts: tuple[LogPart, ...]
    ended: tuple[str, ...]


def read_batch(folder: Path, due: Sequence[tuple[str, Printed]], limit: int, kept: int = LIMIT) -> Batch:
    """Read the part of the output that the next message takes; limits as in `Shipping`. Blocking."""
    parts: list[LogPart] = []
    ended: list[str] = []
    room = BATCH
    for execution_id, log in due:
        if log.end is None:
            parts.append(LogPart(execution_id=execution_id))
            continue
        taken = list(
            _parts(
                folder / execution_id / "result",
                execution_id,
                log.end,
                _Room(min(room, max(BATCH // len(due), LEAST)), max(PARTS // len(due), 2), limit, kept),
            )
        )
        parts += (part for part in taken if part.data)
        room -= sum(len(part.data) for part in taken)
        if log.is_over and not taken:
            ended.append(execution_id)
        if room < LEAST:
            break
    return Batch(tuple(parts), tuple(ended))


class _Room(NamedTuple):
    left: int
    parts: int
    limit: int
    kept: int


def _parts(result: Path, execution_id: str, end: Offsets, room: _Room) -> Iterator[LogPart]:
    """Yield the next parts of one log, in the order in which the streams came."""
    sizes = [_size(result / name, room.kept) for _, name in FILES]
    places = [_next_offset(size, end, stream, room.limit) for size, (stream, _) in zip(sizes, FILES, strict=True)]
    left = room.left
    for stream, begin, until in islice(read_spans(order_path(result), places, sizes), room.parts):
        if left <= 0:
            return
        found = read_stretch(result / dict(FILES)[stream], room.kept, begin, min(left, until - begin))
        if found.offset < until:  # else nothing of it is left
            data = found.data[: until - found.offset]
            left -= len(data)
            yield LogPart(execution_id=execution_id, stream=stream, offset=found.offset, data=data)


def _size(path: Path, kept: int) -> int:
    with suppress(FileNotFoundError):
        return read_stretch(path, kept, 0, 0).end
    return 0


def _next_offset(size: int, end: Offsets, stream: int, limit: int) -> int:
    """Find the byte to go on from; of output too far behind a full copy, only the end is worth sending."""
    at = end.of(stream)
    is_full = limit and end.stdout + end.stderr >= limit // 2
    return size - limit // 2 if is_full and size - at > limit // 2 else at
