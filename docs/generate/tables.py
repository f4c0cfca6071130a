"""Pieces of Markdown that the made pages share."""

from collections.abc import Iterable, Sequence


class Cell(str):
    """A cell that is Markdown already."""


def cell(text: object) -> str:
    """Return a text as the cell of a table: one line, its bars and angle brackets escaped outside of code."""
    if isinstance(text, Cell):
        return text
    parts = " ".join(str(text).split()).replace("|", "\\|").split("`")
    return "`".join(part.replace("<", "&lt;") if i % 2 == 0 else part for i, part in enumerate(parts))


def code(text: object) -> str:
    """Return a text as code in a cell; an empty text stays empty."""
    shown = str(text)
    return f"`{shown}`" if shown else ""


def marked(name: str) -> Cell:
    """Return a name as code in a cell to which links lead: `page.md#name`."""
    return Cell(f'<a id="{name}"></a>`{name}`')


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a line for each row."""
    lines = [heads, ["---"] * len(heads), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
