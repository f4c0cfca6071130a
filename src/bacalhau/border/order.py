"""The order in which two streams of a task came, kept beside their files.

The file is a list of points: how far stdout and stderr reached each time that the other one went on. Between two points
one stream grew, so a reader of both files can give out their bytes as they came. Beyond MOST changes no more are kept;
what came after them is read stream by stream.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

STDOUT, STDERR = 1, 2
MOST = 65_536  # 1 MiB
_POINT = struct.Struct(">QQ")
_BLOCK = 256  # points that are read at once


def order_path(result: Path) -> Path:
    """Name the file of the order of the streams in a result folder: it stands beside that, and is no result."""
    return result.with_name("order")


class Span(NamedTuple):
    """Output of one stream that came in one piece, from byte `begin` to before byte `end`."""

    stream: int
    begin: int
    end: int


class Order:
    """The points of a task that runs. `resumes` goes on with what an earlier opening wrote. Raises OSError."""

    def __init__(self, path: Path, *, resumes: bool = False) -> None:
        os.makedirs(path.parent, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if resumes else os.O_TRUNC), 0o600)
        self._count = os.fstat(self._file).st_size // _POINT.size
        self._ends = list(_read(self._file, self._count - 1, 1)[0]) if self._count else [0, 0]
        self._stream = 0

    def note(self, stream: int, end: int) -> None:
        """Note that a stream has reached byte `end`."""
        if end <= self._ends[stream - 1]:
            return
        if stream != self._stream:
            self._count += 1
        self._stream, self._ends[stream - 1] = stream, end
        if self._count <= MOST:
            os.pwrite(self._file, _POINT.pack(*self._ends), (self._count - 1) * _POINT.size)

    def close(self) -> None:
        os.close(self._file)


def read_spans(path: Path, at: Sequence[int], ends: Sequence[int]) -> Iterator[Span]:
    """Yield what lies between two places of the output, each a byte of stdout and one of stderr, in the order in which
    it came. Where no order is kept, stdout comes first. `ends` must have been found before this is called.
    """
    places = list(at)
    for point in _points(path, at):
        yield from _grown(places, [min(*pair) for pair in zip(point, ends, strict=True)])
    yield from _grown(places, ends)


def _grown(places: list[int], ends: Sequence[int]) -> Iterator[Span]:
    for index, stream in enumerate((STDOUT, STDERR)):
        if ends[index] > places[index]:
            begin, places[index] = places[index], ends[index]
            yield Span(stream, begin, ends[index])


def _points(path: Path, at: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the points after a place."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        count = os.fstat(file).st_size // _POINT.size
        number = _first_after(file, count, at)
        while points := _read(file, number, min(_BLOCK, count - number)):
            number += len(points)
            yield from points
    finally:
        os.close(file)


def _first_after(file: int, count: int, at: Sequence[int]) -> int:
    """Find the first point of which a stream lies behind a place: both only ever grow."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        stdout, stderr = _read(file, middle, 1)[0]
        if stdout > at[0] or stderr > at[1]:
            high = middle
        else:
            low = middle + 1
    return low


def _read(file: int, number: int, count: int) -> list[tuple[int, int]]:
    data = os.pread(file, count * _POINT.size, number * _POINT.size)
    return [(stdout, stderr) for stdout, stderr in _POINT.iter_unpack(data[: len(data) // _POINT.size * _POINT.size])]
