"""Bytes of a log as text for readers: characters stay whole across pieces, and what is missing is said. Pure."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bacalhau.ports.logs import STDERR, STDOUT, Offsets, Piece

FRAME = 64 * 1024  # bytes of output in one text
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


class LogText(NamedTuple):
    """Text of one stream of an execution, and where reading goes on after it."""

    stream: int
    text: str
    execution_id: str
    end: Offsets


class Decoder:
    """The streams of one execution, from `at` on."""

    def __init__(self, execution_id: str, at: Offsets) -> None:
        self.end = at
        self._execution_id = execution_id
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in (STDOUT, STDERR)}

    def take(self, pieces: Iterable[Piece]) -> list[LogText]:
        return [text for piece in pieces for text in self._take(piece)]

    def rest(self) -> list[LogText]:
        """Return what is left at the end of the log: a character that was never finished."""
        return [
            text
            for stream in (STDOUT, STDERR)
            for text in self._texts(stream, self._decoders[stream].decode(b"", True))
        ]

    def say(self, words: str) -> list[LogText]:
        """Words of our own, among what went to stderr."""
        return self._texts(STDERR, f"\n[{words}]\n")

    def _take(self, piece: Piece) -> Iterator[LogText]:
        decoder = self._decoders[piece.stream]
        missing = piece.offset - self.end.of(piece.stream)
        if missing > 0:
            cut = decoder.decode(b"", True)
            self.end = self.end.moved(piece.stream, piece.offset)
            yield from self._texts(
                piece.stream,
                f"{cut}\n[{missing} bytes of output are missing here: the log is longer than what is kept]\n",
            )
        for start in range(max(-missing, 0), len(piece.data), FRAME):
            data = piece.data[start : start + FRAME]
            self.end = self.end.moved(piece.stream, piece.offset + start + len(data))
            yield from self._texts(piece.stream, decoder.decode(data))

    def _texts(self, stream: int, text: str) -> list[LogText]:
        # A reader that comes back must not start inside a character.
        at = Offsets(*(self.end.of(s) - len(self._decoders[s].getstate()[0]) for s in (STDOUT, STDERR)))
        return [LogText(stream, text, self._execution_id, at)] if text else []


class LastLines:
    """Keeps the last lines of what passes, both streams together."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[LogText] = []

    def take(self, texts: Iterable[LogText]) -> None:
        for text in texts:
            self._kept += (text._replace(text=line) for line in _LINES.findall(text.text))
        self._cut()

    def release(self) -> list[LogText]:
        kept, self._kept = self._kept, []
        return kept

    def _cut(self) -> None:
        """A line that came in several pieces counts once."""
        lines = 0
        for index in range(len(self._kept) - 1, -1, -1):
            if self._kept[index].text.endswith("\n") or index == len(self._kept) - 1:
                lines += 1
            if lines > self._count:
                del self._kept[: index + 1]
                return
