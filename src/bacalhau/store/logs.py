"""The logs of all executions as files, one folder each, within a quota: the beginning and the end of a log are kept.

Deliberately outside the database: megabytes of output would slow down every transaction.
"""

import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bacalhau.lib.errors import Unavailable
from bacalhau.ports.logs import Append, LogCursor, Offsets, Piece, Quota
from bacalhau.store.segment import FINISHED, Segment, SegmentCursor, frame, list_segments, recover_segment, segment_path

OPEN_LOGS = 10_000  # whose ends are kept in memory
PARTS = 16  # segments of a full log; half of them are its beginning
SMALLEST, LARGEST = 16 * 1024, 4 * 1024 * 1024  # bytes of a segment


class _Part(NamedTuple):
    segment: Segment
    size: int


@dataclass
class _Log:
    """The end of a log. `head` is how many of its first parts are kept for good, 0 while that is open."""

    folder: Path
    end: Offsets = field(default_factory=Offsets)
    parts: list[_Part] = field(default_factory=list)
    head: int = 0
    is_finished: bool = False


class FileLogs:
    """`ports.logs.Logs`."""

    def __init__(self, folder: Path, quota: Quota) -> None:
        self._folder = folder
        self._quota = quota
        self._part_size = min(max(quota.one // PARTS, SMALLEST), LARGEST) if quota.one else LARGEST
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._lock = threading.Lock()

    def append(self, parts: Sequence[Append]) -> None:
        with self._lock, _disk():
            for execution_id, piece in parts:
                log = self._open(execution_id)
                fresh = _fresh(piece, log.end)
                if fresh is not None and not log.is_finished:
                    for start in range(0, len(fresh.data), self._part_size):
                        self._write(
                            log, Piece(fresh.stream, fresh.offset + start, fresh.data[start : start + self._part_size])
                        )

    def finish(self, execution_id: str) -> None:
        with self._lock, _disk():
            log = self._open(execution_id)
            if log.is_finished:
                return
            log.folder.mkdir(parents=True, exist_ok=True)
            paths = [part.segment.path for part in log.parts]
        with _disk():
            for path in paths:
                _sync(path)
            (log.folder / FINISHED).touch()
            _sync(log.folder)
        log.is_finished = True  # not before: what failed is tried again

    def place(self, execution_id: str) -> tuple[Offsets, bool] | None:
        with self._lock, _disk():
            log = self._open(execution_id)
        return (log.end, log.is_finished) if log.parts or log.is_finished else None

    def cursor(self, execution_id: str, at: Offsets) -> LogCursor:
        return SegmentCursor(self._folder / execution_id, at)

    def sweep(self, now: float) -> list[str]:
        removed = []
        left = self._quota.all
        for execution_id, changed, size in self._by_age():
            is_old = bool(self._quota.age) and now - changed > self._quota.age
            left -= size
            if is_old or (self._quota.all and left < 0):
                self.remove([execution_id])
                left += size
                removed.append(execution_id)
        return removed

    def remove(self, execution_ids: Iterable[str]) -> None:
        for execution_id in execution_ids:
            with self._lock:
                self._logs.pop(execution_id, None)
                shutil.rmtree(self._folder / execution_id, ignore_errors=True)

    def _by_age(self) -> list[tuple[str, float, int]]:
        """(execution, time of the last change, bytes), the youngest first."""
        found = []
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with suppress(OSError):  # it may be going right now
                    files = [file.stat() for file in os.scandir(entry.path)]
                    changed = max((s.st_mtime for s in files), default=entry.stat().st_mtime)
                    found.append((entry.name, changed, sum(s.st_size for s in files)))
        return sorted(found, key=lambda log: -log[1])

    def _open(self, execution_id: str) -> _Log:
        log = self._logs.get(execution_id)
        if log is None:
            log = self._logs[execution_id] = self._recover(self._folder / execution_id)
            if len(self._logs) > OPEN_LOGS:
                self._logs.popitem(last=False)
        self._logs.move_to_end(execution_id)
        return log

    def _recover(self, folder: Path) -> _Log:
        log = _Log(folder, is_finished=(folder / FINISHED).exists())
        segments = list_segments(folder)
        for segment in segments[:-1]:
            self._add(log, segment, segment.path.stat().st_size)
        if segments:
            log.end, size = recover_segment(segments[-1])
            self._add(log, segments[-1], size)
        return log

    def _write(self, log: _Log, piece: Piece) -> None:
        has_gap = piece.offset > log.end.of(piece.stream)
        if not log.parts or has_gap or log.parts[-1].size >= self._part_size:
            log.folder.mkdir(parents=True, exist_ok=True)
            start = log.end.moved(piece.stream, piece.offset)
            self._add(log, Segment(start, segment_path(log.folder, start)), 0)
        data = frame(piece)
        segment, size = log.parts[-1]
        _append(segment.path, data, size)
        log.parts[-1] = _Part(segment, size + len(data))
        log.end = log.end.moved(piece.stream, piece.end)
        self._trim(log)

    def _add(self, log: _Log, segment: Segment, size: int) -> None:
        """The first parts, up to half of the quota, are the beginning that stays."""
        if (
            log.head == len(log.parts)
            and sum(part.size for part in log.parts) + self._part_size <= self._quota.one // 2
        ):
            log.head += 1
        log.parts.append(_Part(segment, size))

    def _trim(self, log: _Log) -> None:
        head = max(log.head, 1)
        while self._quota.one and len(log.parts) > head + 1 and sum(part.size for part in log.parts) > self._quota.one:
            log.parts.pop(head).segment.path.unlink(missing_ok=True)


def _fresh(piece: Piece, end: Offsets) -> Piece | None:
    """Return the part of a text that the log does not have yet."""
    known = end.of(piece.stream) - piece.offset
    if known >= len(piece.data):
        return None
    return piece if known <= 0 else Piece(piece.stream, piece.offset + known, piece.data[known:])


def _append(path: Path, data: bytes, size: int) -> None:
    """All of it or nothing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise Unavailable(
            f"the log cannot be kept: {e.strerror or e}", hint="free space on the orchestrator's disk"
        ) from e
