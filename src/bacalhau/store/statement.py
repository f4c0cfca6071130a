"""A transaction as a value: named statements with their parameters and guards.

The text lives in `sql/*.sql`, read once.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

Params = Mapping[str, Any]
Row = tuple[Any, ...]

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


class Statement(NamedTuple):
    """One write.

    It must touch exactly `rows` rows (None: any number), else the transaction fails as Conflict(`conflict`).
    """

    name: str
    params: Params
    rows: int | None = None
    conflict: str = ""


Transaction = tuple[Statement, ...]


@cache
def catalogue() -> dict[str, str]:
    """SQL by name."""
    found: dict[str, str] = {}
    for file in resources.files("bacalhau.store").joinpath("sql").iterdir():
        if file.name.endswith(".sql"):
            found |= parse_queries(file.read_text("utf-8"))
    return found


def parse_queries(text: str) -> dict[str, str]:
    """Statements by the `-- name:` line above each; comments before a name belong to nobody."""
    _, *parts = _NAME.split(text)
    return {name: body.split(";", 1)[0].strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
