"""The files of one execution's log: segments of frames, named by the place in the log where they begin.

A frame is stream (1 byte), offset (8) and length (4), then the bytes. The end of the last segment may be torn by a
crash; it is cut.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bacalhau.ports.logs import STDERR, STDOUT, Offsets, Piece

HEAD = struct.Struct(">BQI")
SUFFIX = ".log"
FINISHED = "finished"
READ_LIMIT = 512 * 1024  # bytes after which a reader pauses
PIECE_LIMIT = 8 * 1024 * 1024  # no frame is longer: what says so is torn


class Segment(NamedTuple):
    start: Offsets
    path: Path


def segment_path(folder: Path, start: Offsets) -> Path:
    return folder / f"{start.stdout:016x}-{start.stderr:016x}{SUFFIX}"


def list_segments(folder: Path) -> list[Segment]:
    """List the segments of a log in order; empty if there is no such log."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))
    except FileNotFoundError:
        return []
    return [Segment(_start(name), folder / name) for name in names]


def _start(name: str) -> Offsets:
    stdout, _, stderr = name.removesuffix(SUFFIX).partition("-")
    return Offsets(int(stdout, 16), int(stderr, 16))


def frame(piece: Piece) -> bytes:
    return HEAD.pack(piece.stream, piece.offset, len(piece.data)) + piece.data


def read_frames(file: BinaryIO) -> Iterator[Piece]:
    """Whole frames from where the file stands; the file stands behind the last one that was taken."""
    while True:
        began = file.tell()
        head = file.read(HEAD.size)
        if len(head) == HEAD.size:
            stream, offset, length = HEAD.unpack(head)
            data = file.read(length) if stream in (STDOUT, STDERR) and length <= PIECE_LIMIT else b""
            if length and len(data) == length:
                yield Piece(stream, offset, data)
                continue
        file.seek(began)
        return


def recover_segment(segment: Segment) -> tuple[Offsets, int]:
    """Cut off a torn end of a segment. Return where the log ends, and the segment's size."""
    at = segment.start
    with segment.path.open("r+b") as file:
        for piece in read_frames(file):
            at = at.moved(piece.stream, piece.end)
        size = file.tell()
        file.truncate(size)
    return at, size


class SegmentCursor:
    """`ports.logs.LogCursor` over a log that may grow, and lose segments, meanwhile."""

    def __init__(self, folder: Path, at: Offsets) -> None:
        self._folder = folder
        self._at = at
        self._current: Offsets | None = None
        self._place = 0

    def read(self) -> list[Piece]:
        # A later segment in a list that is made before reading says that the earlier one will not grow.
        pieces: list[Piece] = []
        for segment in self._ahead(list_segments(self._folder)):
            if segment.start != self._current:
                self._enter(segment, pieces)
            if not self._take(segment, pieces):
                break
        return pieces

    def _ahead(self, segments: list[Segment]) -> list[Segment]:
        if self._current is not None:
            current = self._current
            return [s for s in segments if s.start >= current]
        passed = [s for s in segments if s.start.stdout <= self._at.stdout and s.start.stderr <= self._at.stderr]
        return segments[max(len(passed) - 1, 0) :]

    def _enter(self, segment: Segment, pieces: list[Piece]) -> None:
        self._current, self._place = segment.start, 0
        for stream in (STDOUT, STDERR):
            if segment.start.of(stream) > self._at.of(stream):
                self._keep(Piece(stream, segment.start.of(stream), b""), pieces)

    def _take(self, segment: Segment, pieces: list[Piece]) -> bool:
        """Read on; True at the end of the segment, False when enough is read."""
        size = sum(len(piece.data) for piece in pieces)
        try:
            with segment.path.open("rb") as file:
                file.seek(self._place)
                for piece in read_frames(file):
                    self._place = file.tell()
                    self._keep(piece, pieces)
                    size += len(piece.data)
                    if size >= READ_LIMIT:
                        return False
        except FileNotFoundError:
            return True
        return True

    def _keep(self, piece: Piece, pieces: list[Piece]) -> None:
        known = self._at.of(piece.stream) - piece.offset
        if known <= 0:
            pieces.append(piece)
        elif known < len(piece.data):
            pieces.append(Piece(piece.stream, piece.offset + known, piece.data[known:]))
        self._at = self._at.moved(piece.stream, max(piece.end, self._at.of(piece.stream)))
