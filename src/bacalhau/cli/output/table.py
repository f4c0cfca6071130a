"""Tables as the original draws them: cells padded by a space, no rules, headers in capitals, colour on a
terminal only.
"""

import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_HEADER, _ODD, _EVEN = "92;100", "97;40", "37;40"


class Column(NamedTuple):
    """`cell` gives the full text.

    `most` is the widest it may be drawn, wrapped by words or `hard`; `brief` shortens it first.
    """

    name: str
    cell: Callable[[Any], str]
    most: int = 0
    hard: bool = False
    brief: Callable[[str], str] | None = None


class Style(NamedTuple):
    wide: bool = False
    header: bool = True
    colour: bool = False


def draw(columns: Sequence[Column], items: Sequence[Any], look: Style) -> list[str]:
    """The lines of a table; with no items the header alone."""
    rows = [[_lines(column, column.cell(item), look) for column in columns] for item in items]
    header = [column.name.upper().split("\n") for column in columns]
    widths = [
        _width(column, items, [row[at] for row in rows], header[at] if look.header else [], look)
        for at, column in enumerate(columns)
    ]
    lines = _row(header, widths, _HEADER if look.colour else "") if look.header else []
    for number, row in enumerate(rows):
        lines += _row(row, widths, (_EVEN if number % 2 else _ODD) if look.colour else "")
    return lines


def _lines(column: Column, full: str, look: Style) -> list[str]:
    text = full if look.wide or column.brief is None else column.brief(full)
    lines = text.split("\n")
    return lines if look.wide or not column.most else [piece for line in lines for piece in _wrapped(line, column)]


def _wrapped(line: str, column: Column) -> list[str]:
    if _columns_of(line) <= column.most:
        return [line]
    if column.hard:
        return [line[at : at + column.most] for at in range(0, len(line), column.most)]
    return textwrap.wrap(line, column.most, break_on_hyphens=False)


def _width(column: Column, items: Sequence[Any], cells: Sequence[list[str]], header: list[str], look: Style) -> int:
    """A shortened cell is padded to what its full text would need, so that columns stay where they are."""
    drawn = max((_columns_of(line) for cell in [*cells, header] for line in cell), default=0)
    if look.wide or not column.most:
        return drawn
    full = max((_columns_of(line) for item in items for line in column.cell(item).split("\n")), default=0)
    return max(drawn, min(column.most, full))


def _row(cells: Sequence[list[str]], widths: Sequence[int], colour: str) -> list[str]:
    height = max(len(cell) for cell in cells)
    padded = [[*cell, *[""] * (height - len(cell))] for cell in cells]
    return [
        "".join(_cell(cell[at], width, colour) for cell, width in zip(padded, widths, strict=True))
        for at in range(height)
    ]


def _cell(text: str, width: int, colour: str) -> str:
    padded = f" {text}{' ' * (width - _columns_of(text))} "
    return f"\x1b[{colour}m{padded}\x1b[0m" if colour else padded


def _columns_of(text: str) -> int:
    """Count the columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
