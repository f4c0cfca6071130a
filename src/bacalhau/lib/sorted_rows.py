"""Rows that come in any order and are read in theirs, on the disk as far as they are many."""

import heapq
import tempfile
import threading
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

from bacalhau.lib.wire import decode, encode

IN_MEMORY = 20_000  # rows: some 8 MB
R = TypeVar("R", bound=tuple[Any, ...])


class SortedRows(Generic[R]):
    """Named tuples of `kind`, sorted by their first two fields; of rows in which both are equal, the last one counts.

    Rows beyond `IN_MEMORY` lie in files PREFIX.0, PREFIX.1 and so on, and `flush` writes the others there too, so that
    another process finds all of them again. Without a `prefix` they lie in a temporary folder, which goes with the
    object. Several threads may add rows. Raises OSError where the disk refuses.
    """

    def __init__(self, kind: type[R], prefix: Path | None = None) -> None:
        self._kind, self._prefix = kind, prefix
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._held: list[R] = []
        self._files = self._find()

    def add(self, row: R) -> None:
        with self._lock:
            self._held.append(row)
            if len(self._held) >= IN_MEMORY:
                self._spill()

    def flush(self) -> None:
        """Write all rows to files."""
        with self._lock:
            if self._held:
                self._spill()

    def clear(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._held = []
            for path in self._files:
                path.unlink(missing_ok=True)
            self._files = []

    @property
    def is_empty(self) -> bool:
        return not (self._held or self._files)

    def __iter__(self) -> Iterator[R]:
        """Yield all rows in order. None may be added meanwhile."""
        runs = [_read(path, self._kind) for path in self._files]
        # Of equal ones, heapq takes that of the earlier run first, and sorting keeps the order in which they came.
        merged = heapq.merge(*runs, sorted(self._held, key=_KEY), key=_KEY)
        for _, same in groupby(merged, _KEY):
            *_, last = same
            yield last

    def _find(self) -> list[Path]:
        if self._prefix is None:
            return []
        found = self._prefix.parent.glob(f"{self._prefix.name}.*")
        return sorted((path for path in found if path.suffix[1:].isdecimal()), key=lambda path: int(path.suffix[1:]))

    def _spill(self) -> None:
        if self._prefix is None:
            self._own = tempfile.TemporaryDirectory(prefix="bacalhau-rows-")
            self._prefix = Path(self._own.name) / "rows"
        path = self._prefix.with_name(f"{self._prefix.name}.{len(self._files)}")
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            for row in sorted(self._held, key=_KEY):
                file.write(encode(row) + b"\n")
        part.replace(path)
        self._files.append(path)
        self._held = []


_KEY = itemgetter(0, 1)


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    with path.open("rb") as file:
        for line in file:
            yield decode(line, kind)
