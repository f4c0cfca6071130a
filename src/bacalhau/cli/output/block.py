"""A few lines at the end of a terminal that are drawn again in place while something goes on.

The cursor rests at the beginning of the first line, not behind the last: a terminal whose size changes keeps it on its
line, so that clearing from there on removes the whole block, however the terminal broke its lines. Whoever writes
something else in between hides the block first.
"""

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, TextIO

from bacalhau.border.names import shown
from bacalhau.cli.frame.report import coloured
from bacalhau.cli.frame.say import in_colour, own, say
from bacalhau.cli.output.width import columns_of, cut

GREEN, RED, YELLOW, CYAN, DIM, BOLD = "32", "31", "33", "36", "90", "1"
_USUAL = (80, 24)
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_FULL, _EMPTY = "━─"
_FULL_PLAIN, _EMPTY_PLAIN = "#."


class Piece(NamedTuple):
    """A part of a line in one colour; "" is the terminal's own."""

    text: str
    colour: str = ""


class Size(NamedTuple):
    """The room for a block: the columns that a line may have, and the lines."""

    columns: int
    lines: int


def is_live(stream: TextIO) -> bool:
    """Tell whether lines of a stream can be drawn again: on a terminal that obeys, and in no build server's log."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")


def size_of(stream: TextIO) -> Size:
    """Return the room of a stream's terminal as it is now. The last column stays free, where some terminals wrap, and
    one line.
    """
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except OSError:
        columns, lines = 0, 0
    return Size(max((columns or _USUAL[0]) - 1, 1), max((lines or _USUAL[1]) - 1, 1))


def bar(share: float, columns: int, stream: TextIO) -> list[Piece]:
    """Draw a share from 0 to 1 as a bar, in plain characters where the stream has no others."""
    full, empty = (_FULL, _EMPTY) if can_show(_FULL, stream) else (_FULL_PLAIN, _EMPTY_PLAIN)
    filled = round(max(0.0, min(1.0, share)) * columns)
    return [Piece(full * filled, GREEN), Piece(empty * (columns - filled), DIM)]


def can_show(text: str, stream: TextIO) -> bool:
    """Tell whether a stream's encoding has all characters of a text."""
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def one_line(text: str) -> str:
    """Write a stranger's text in one line, without what a terminal would obey."""
    return " ".join(shown(text).split())


class Block:
    """The lines that are drawn now. `full` takes the whole screen, and gives back what was there when it is closed."""

    def __init__(self, stream: TextIO | None = None, *, full: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._colour = coloured(self._stream)
        self._full = full
        self._is_open = False
        self._drawn: tuple[Size, list[str]] | None = None

    @property
    def size(self) -> Size:
        return size_of(self._stream)

    @property
    def is_shown(self) -> bool:
        return self._drawn is not None

    def draw(self, lines: Sequence[Sequence[Piece]]) -> None:
        """Show these lines instead of those before, cut to the terminal; nothing is written where nothing changed."""
        size = self.size
        texts = [self._line(pieces, size.columns) for pieces in lines[: size.lines]]
        if self._drawn == (size, texts):
            return
        begin = "" if self._is_open else own(self._whole("\x1b[?1049h") + _HIDE_CURSOR)
        home = own("\x1b[H" if self._full else "\r")
        back = own(f"\x1b[{len(texts) - 1}A\r" if len(texts) > 1 else "\r")
        self._write(begin + home + "\n".join(text + own("\x1b[K") for text in texts) + own("\x1b[J") + back)
        self._is_open, self._drawn = True, (size, texts)

    def hide(self) -> None:
        """Remove the lines, so that others may write; `draw` shows them again below that."""
        if self._drawn is not None and not self._full:
            self._write(own("\r\x1b[J"))
        self._drawn = None

    def close(self) -> None:
        """Remove the lines and show the cursor."""
        self.hide()
        if self._is_open:
            self._write(own(self._whole("\x1b[?1049l") + _SHOW_CURSOR))
        self._is_open = False

    def _whole(self, control: str) -> str:
        return control if self._full else ""

    def _line(self, pieces: Sequence[Piece], columns: int) -> str:
        line = ""
        for text, colour in pieces:
            part = cut(text, columns)
            columns -= columns_of(part)
            line += in_colour(part, colour) if colour and part and self._colour else part
        return line

    def _write(self, text: str) -> None:
        say(text, err=self._stream is sys.stderr, nl=False)
        self._stream.flush()
