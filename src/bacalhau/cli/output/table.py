"""Tables as the original draws them: cells padded by a space, no rules, headers in capitals, colour on a
terminal only.
"""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bacalhau.border.names import shown
from bacalhau.cli.frame.say import in_colour
from bacalhau.cli.output.width import columns_of

_HEADER, _ODD, _EVEN = "92;100", "97;40", "37;40"
_LEAST = 8  # columns of a terminal that a column needs to be readable


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
    """The looks of a table. `columns` is the room of a terminal; 0 is any room."""

    wide: bool = False
    header: bool = True
    colour: bool = False
    columns: int = 0


def draw(columns: Sequence[Column], items: Sequence[Any], look: Style) -> list[str]:
    """The lines of a table; with no items the header alone.

    Where a terminal is too narrow, the widest columns are wrapped; where that leaves too little, each item is a list of
    its cells instead.
    """
    rows = [[_lines(column, shown(column.cell(item)), look) for column in columns] for item in items]
    header = [column.name.upper().split("\n") for column in columns]
    widths = [
        _width(column, items, [row[at] for row in rows], header[at] if look.header else [], look)
        for at, column in enumerate(columns)
    ]
    if look.columns and not look.wide:
        fitted = _fitted(widths, [max(map(len, names)) for names in header], look.columns - 2 * len(columns))
        if not fitted:
            return _as_lists(header, rows)
        widths, rows = fitted, [_narrowed(row, fitted) for row in rows]
    lines = _row(header, widths, _HEADER if look.colour else "") if look.header else []
    for number, row in enumerate(rows):
        lines += _row(row, widths, (_EVEN if number % 2 else _ODD) if look.colour else "")
    return lines


def _fitted(widths: Sequence[int], names: Sequence[int], room: int) -> list[int]:
    """Take from the widest columns until all fit the room; [] where none can lose more."""
    least = [min(width, max(name, _LEAST)) for width, name in zip(widths, names, strict=True)]
    found = list(widths)
    while sum(found) > room:
        at = max(range(len(found)), key=lambda at: found[at] if found[at] > least[at] else 0)
        if found[at] <= least[at]:
            return []
        found[at] -= 1
    return found


def _narrowed(row: Sequence[list[str]], widths: Sequence[int]) -> list[list[str]]:
    return [
        [piece for line in cell for piece in _wrapped(line, width)] for cell, width in zip(row, widths, strict=True)
    ]


def _as_lists(header: Sequence[list[str]], rows: Sequence[list[list[str]]]) -> list[str]:
    names = [" ".join(name) for name in header]
    width = max(map(len, names))
    lists = [[f" {name:{width}}  {' '.join(cell)}" for name, cell in zip(names, row, strict=True)] for row in rows]
    return [line for number, each in enumerate(lists) for line in (["", *each] if number else each)]


def _lines(column: Column, full: str, look: Style) -> list[str]:
    text = full if look.wide or column.brief is None else column.brief(full)
    lines = text.split("\n")
    if look.wide or not column.most:
        return lines
    return [piece for line in lines for piece in _wrapped(line, column.most, hard=column.hard)]


def _wrapped(line: str, most: int, *, hard: bool = False) -> list[str]:
    if columns_of(line) <= most:
        return [line]
    pieces = [line] if hard else textwrap.wrap(line, most, break_on_hyphens=False)
    return [part for piece in pieces for part in _cut(piece, most)]


def _cut(text: str, most: int) -> list[str]:
    """Cut a text into pieces that take no more columns than `most`."""
    if text.isascii():
        return [text[at : at + most] for at in range(0, len(text), most)]
    pieces = [""]
    for letter in text:
        if columns_of(pieces[-1] + letter) > most:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _width(column: Column, items: Sequence[Any], cells: Sequence[list[str]], header: list[str], look: Style) -> int:
    """A shortened cell is padded to what its full text would need, so that columns stay where they are."""
    drawn = max((columns_of(line) for cell in [*cells, header] for line in cell), default=0)
    if look.wide or not column.most:
        return drawn
    full = max((columns_of(line) for item in items for line in shown(column.cell(item)).split("\n")), default=0)
    return max(drawn, min(column.most, full))


def _row(cells: Sequence[list[str]], widths: Sequence[int], colour: str) -> list[str]:
    height = max(len(cell) for cell in cells)
    padded = [[*cell, *[""] * (height - len(cell))] for cell in cells]
    return [
        "".join(_cell(cell[at], width, colour) for cell, width in zip(padded, widths, strict=True))
        for at in range(height)
    ]


def _cell(text: str, width: int, colour: str) -> str:
    padded = f" {text}{' ' * (width - columns_of(text))} "
    return in_colour(padded, colour) if colour else padded
