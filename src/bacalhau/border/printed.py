"""The files of what a task prints, bounded: the beginning and the end are kept, and a line says how much is missing.

A place in the output is counted in bytes from its start, whether or not everything before it is still there. While
the task runs, the beginning stands in the file itself and the end in a ring beside it; closing joins them. Readers find
the bytes of a place in every state of the file. Sources of output may repeat what they gave before, as the log of a
container does after a restart of the node; what is known is skipped.
"""

import os
import re
import struct
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

LIMIT = 32_000_000  # bytes of one stream where nobody says otherwise
LEAST = 64_000
_BLOCK = 1 << 20
_FIRST = 4096  # bytes by which a source is known again
_SEARCHED = 4  # times half the limit: the bounded log of an engine is no longer
_HEAD = struct.Struct(">QQ")  # of the ring: where the write under way ends, where the last one ended
_NOTICE = "\n[{} bytes of output are missing here: the node keeps the beginning and the end]\n"
_NOTICE_SEEN = re.compile(_NOTICE.replace("[", r"\[").replace("{}", r"(\d{1,18})").encode())
_REJOINED = (
    b"\n[output may be missing or repeated here: the node was away, and the engine kept only the end of what was"
    b" printed meanwhile]\n"
)


class Stretch(NamedTuple):
    """Output from `offset` on, later than asked for where bytes are missing; `end` is where all output ends now."""

    offset: int
    data: bytes
    end: int


class _Splice:
    """Finds where a source goes on behind what is known of it.

    A source that begins as the last one did repeats all of it. Else it has lost its beginning, as the bounded log of an
    engine does, and goes on behind the `overlap` bytes that were known last. Where these are not in it either, that is
    said, and its end is taken.
    """

    def __init__(self, first: bytes, came: int, most: int) -> None:
        self.overlap = min(_FIRST, most)
        self._first, self._came, self._most = first, came, most
        self._awaited = self._last = b""
        self._skip = 0
        self._held: bytearray | None = None

    def rewind(self, last: bytes) -> None:
        """Begin another source; `last` are the bytes that were known last."""
        self._awaited, self._last = self._first, last
        self._skip, self._came = self._skip + self._came, 0

    def take(self, data: bytes) -> bytes:
        """Return what is new of a piece of the source."""
        if self._held is not None:
            return self._search(data)
        size = min(len(self._awaited), len(data)) if self._skip else 0
        if data[:size] != self._awaited[:size]:
            again = self._first[: len(self._first) - len(self._awaited)] + data
            self._first, self._skip, self._came, self._held = b"", 0, 0, bytearray()
            return self._search(again)
        self._awaited = self._awaited[size:]
        known = min(self._skip, len(data))
        self._came, self._skip = self._came + known, self._skip - known
        self._count(data[known:])
        return data[known:]

    def settle(self) -> bytes:
        """Return what was held back, at the end of a source."""
        rest, self._held = b"" if self._held is None else _REJOINED + bytes(self._held), None
        return rest

    def _search(self, data: bytes) -> bytes:
        self._count(data)
        held = self._held = self._held or bytearray()
        start = max(0, len(held) - len(self._last) + 1)
        held += data
        at = held.find(self._last, start)
        if at >= 0:
            self._held = None
            return bytes(held[at + len(self._last) :])
        del held[: -self._most]
        return self.settle() if self._came > _SEARCHED * self._most else b""

    def _count(self, data: bytes) -> None:
        if self._came == len(self._first) < _FIRST:
            self._first += data[: _FIRST - len(self._first)]
        self._came += len(data)


class Printed:
    """One stream of a task on its way into its file, of which at most about `limit` bytes are kept.

    `resumes` goes on with what an earlier opening wrote; else it is emptied. Raises OSError.
    """

    def __init__(self, path: Path, limit: int, *, resumes: bool = False) -> None:
        self._path, self._half = path, limit // 2
        self._end = 0
        self._ring = -1
        os.makedirs(path.parent, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if resumes:
            self._resume(limit)
        else:
            _ring_of(path).unlink(missing_ok=True)
            os.ftruncate(self._file, 0)
        self._splice = _Splice(os.pread(self._file, min(_FIRST, self._half), 0), self._end, self._half)

    def _resume(self, limit: int) -> None:
        """Take up a file that was closed, or that a crash left with its ring."""
        has_ring = _ring_of(self._path).exists()
        self._end = read_stretch(self._path, limit, 0, 0).end
        if has_ring or self._end > self._half:
            at = max(self._half, self._end - self._half)
            last = b"" if has_ring else read_stretch(self._path, limit, at, -1).data
            self._open_ring()
            self._put(last, self._end)
            os.ftruncate(self._file, self._half)

    def rewind(self) -> None:
        """Expect a source that repeats what is known, or the end of it, and goes on behind it."""
        self._settle()
        last = read_stretch(self._path, 2 * self._half, max(0, self._end - self._splice.overlap), -1).data
        self._splice.rewind(last)

    @property
    def end(self) -> int:
        """The number of bytes that came, whether or not all are still there."""
        return self._end

    def write(self, data: bytes) -> None:
        """Add output of a source."""
        if fresh := self._splice.take(data):
            self._add(fresh)

    def _settle(self) -> None:
        if rest := self._splice.settle():
            self._add(rest)

    def _add(self, data: bytes) -> None:
        room = max(0, self._half - self._end)
        if room:
            _write(self._file, data[:room], self._end)
            self._end += min(room, len(data))
        if len(data) > room:
            if self._ring < 0:
                self._open_ring()
            self._put(data[max(room, len(data) - self._half) :], self._end + len(data) - room)

    def _open_ring(self) -> None:
        self._ring = os.open(_ring_of(self._path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _put(self, data: bytes, end: int) -> None:
        """Write the last bytes of the output, which then ends at `end`, into the ring."""
        _write(self._ring, _HEAD.pack(end, self._end), 0)
        at = (end - len(data)) % self._half
        until_edge = self._half - at
        _write(self._ring, data[:until_edge], _HEAD.size + at)
        _write(self._ring, data[until_edge:], _HEAD.size)
        _write(self._ring, _HEAD.pack(end, end), 0)
        self._end = end

    def close(self) -> None:
        """Join beginning and end in the file."""
        try:
            self._settle()
            if self._ring >= 0:
                self._join()
        finally:
            for descriptor in (self._file, self._ring):
                if descriptor >= 0:
                    os.close(descriptor)

    def _join(self) -> None:
        at, place = self._half, max(self._half, self._end - self._half)
        if missing := place - self._half:
            notice = missing_text(missing).encode()
            _write(self._file, notice, at)
            at += len(notice)
        while place < self._end:
            data = _ring_bytes(self._ring, self._half, place, min(_BLOCK, self._end - place))
            _write(self._file, data, at)
            at, place = at + len(data), place + len(data)
        _ring_of(self._path).unlink()


def missing_text(count: int) -> str:
    """Say in the output itself how many bytes are not in it."""
    return _NOTICE.format(count)


def read_stretch(path: Path, limit: int, offset: int, count: int) -> Stretch:
    """Read at most `count` bytes (-1: all) of output from `offset` on, also while it is written with this `limit`.

    Raises FileNotFoundError where nothing was ever printed.
    """
    half = limit // 2
    with ExitStack() as stack:
        ring = -1
        with suppress(FileNotFoundError):
            ring = os.open(_ring_of(path), os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, ring)
        if ring >= 0 and offset >= half:
            return _read_ring(ring, half, offset, count)
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, file)
        if ring >= 0:
            return Stretch(offset, os.pread(file, _most(count, half - offset), offset), _ring_end(ring, half))
        return _read_file(file, half, offset, count)


def _most(count: int, there: int) -> int:
    return there if count < 0 else max(0, min(count, there))


def _ring_end(ring: int, half: int) -> int:
    """Find where the output ends; a ring that was only just made holds nothing."""
    head = os.pread(ring, _HEAD.size, 0)
    return int(_HEAD.unpack(head)[1]) if len(head) == _HEAD.size else half


def _read_ring(ring: int, half: int, offset: int, count: int) -> Stretch:
    end = _ring_end(ring, half)
    begin = min(max(offset, end - half), end)
    data = _ring_bytes(ring, half, begin, _most(count, end - begin))
    if not data:
        return Stretch(begin, data, end)
    overwritten = int(_HEAD.unpack(os.pread(ring, _HEAD.size, 0))[0]) - half
    lost = min(max(0, overwritten - begin), len(data))
    return Stretch(begin + lost, data[lost:], end)


def _ring_bytes(ring: int, half: int, begin: int, count: int) -> bytes:
    at = begin % half
    until_edge = min(count, half - at)
    return os.pread(ring, until_edge, _HEAD.size + at) + os.pread(ring, count - until_edge, _HEAD.size)


def _read_file(file: int, half: int, offset: int, count: int) -> Stretch:
    """Read a file that is whole, or joined from beginning, notice and end."""
    size = os.fstat(file).st_size
    seen = _NOTICE_SEEN.match(os.pread(file, 200, half)) if size > half else None
    if seen is None:
        return Stretch(offset, os.pread(file, _most(count, size - offset), offset), size)
    notice, missing = len(seen[0]), int(seen[1])
    end = size - notice + missing
    if offset < half:
        return Stretch(offset, os.pread(file, _most(count, half - offset), offset), end)
    begin = max(offset, half + missing)
    return Stretch(begin, os.pread(file, _most(count, end - begin), begin - missing + notice), end)


def _ring_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.end")


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
