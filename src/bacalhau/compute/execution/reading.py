"""Takes down what the inputs of a task hold, while sources bring them, for the proof of the execution.

A source tells the SHA-256 of each file that it writes. Files of a source that tells none are hashed when they are here.
A disk that takes no more rows ends no execution: it then has no proof.
"""

import asyncio
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.hashing import hash_file
from bacalhau.lib.sorted_rows import SortedRows
from bacalhau.lib.tree import walk
from bacalhau.models.execution.proof import OUTPUTS, FileRow, Written, path_text
from bacalhau.ports.storage import Entry, Manifest, Record

_READ, _DONE, _WRITTEN = ".read", ".read-whole", ".written"
log = logging.getLogger(__name__)


class Reading:
    """The files of all inputs of one execution, whose files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._rows, self._done = SortedRows(FileRow, folder / _READ), folder / _DONE
        self._told: set[int] = set()
        self._fault: OSError | None = None

    def record(self, index: int, manifest: Manifest) -> Record:
        """Make the listener of the source that brings an input."""
        origins = {entry.path: entry for entry in manifest.entries}

        def note(path: str, size: int, digest: bytes, from_cache: bool = False) -> None:
            self._told.add(index)
            self._add(_row(index, path, size, digest.hex(), origins.get(path), from_cache))

        return note

    async def complete(self, index: int, manifest: Manifest, place: Path | None) -> None:
        """Hash the files of an input at `place` whose source told none. Without a `place` the input is used where it is
        on the node, and noted without its content.
        """
        if place is None:
            for entry in manifest.entries:
                self._add(_row(index, entry.path, max(entry.size, 0), "", entry, False))
        elif index not in self._told:
            await asyncio.to_thread(self._hash_all, index, manifest, place)

    async def close(self) -> None:
        """Write all down."""
        await asyncio.to_thread(self._close)

    def _hash_all(self, index: int, manifest: Manifest, place: Path) -> None:
        origins = {entry.path: entry for entry in manifest.entries}
        try:
            for path, file, size in list_files(place):
                self._add(_row(index, path, size, hash_file(file).hex(), origins.get(path), False))
        except OSError as e:
            self._fault = e

    def _add(self, row: FileRow) -> None:
        try:
            if self._fault is None:
                self._rows.add(row)
        except OSError as e:
            self._fault = e

    def _close(self) -> None:
        try:
            if self._fault is None:
                self._rows.flush()
                self._done.touch()
        except OSError as e:
            self._fault = e
        if self._fault is not None:
            log.warning("what was read in %s was not taken down: %s", self._done.parent, self._fault)


def _row(index: int, path: str, size: int, digest: str, origin: Entry | None, from_cache: bool) -> FileRow:
    if origin is None:
        return FileRow(index, path_text(path), size, digest, from_cache=from_cache)
    key = path_text(without_credentials(origin.key))
    return FileRow(index, path_text(path), size, digest, key, origin.etag, origin.version, from_cache)


def find_read(folder: Path) -> SortedRows[FileRow] | None:
    """Find what an execution read; None where it was not taken down."""
    return SortedRows(FileRow, folder / _READ) if (folder / _DONE).exists() else None


def begin_written(folder: Path) -> Written:
    """Begin the list of what an execution publishes."""
    rows = SortedRows(FileRow, folder / _WRITTEN)
    rows.clear()
    return Written(rows)


def complete_written(written: Written, result: Path) -> None:
    """Hash the files of a result whose publisher told none. Raises OSError."""
    if written.rows.is_empty:
        for path, file, size in list_files(result):
            written.rows.add(FileRow(OUTPUTS, path_text(path), size, hash_file(file).hex()))


def list_files(place: Path) -> Iterator[tuple[str, Path, int]]:
    """Yield the path, the place and the size of each file below a folder, or of one file. Raises OSError."""
    if not place.is_dir():
        yield place.name, place, place.stat().st_size
        return
    for name, status in walk(place):
        if stat.S_ISREG(status.st_mode):
            yield name, place / name, status.st_size
