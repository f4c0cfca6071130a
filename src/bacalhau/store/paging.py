"""Lists as statements: the numbers of the rows in their order, then the rows themselves, some at a time.

One piece of JSON is decoded without giving the interpreter away, so a large list is decoded in pieces: other threads,
the event loop above all, go on in between.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from bacalhau.lib.wire import decode, encode
from bacalhau.ports.store import Place
from bacalhau.store.database import Snapshot
from bacalhau.store.statement import Params

T = TypeVar("T")
SLICE = 200  # rows that are decoded at once: about a millisecond


class Terms(NamedTuple):
    """The condition, order and parameters that a page adds to the statement of its list."""

    where: str
    order: str
    params: dict[str, Any]


def page_terms(column: str, key: str, reverse: bool, after: Place | None) -> Terms:
    """Order by a column, or an expression, and tell equal rows apart by the column `key`: pages never overlap."""
    columns = list(dict.fromkeys((column, key)))
    order = ", ".join(f"{name} {'desc' if reverse else 'asc'}" for name in columns)
    if after is None:
        return Terms("true", order, {})
    sign, params = "<" if reverse else ">", {"after_key": after.key, "after_id": after.id}
    if len(columns) == 1:
        return Terms(f"{key} {sign} :after_id", order, {"after_id": after.id})
    return Terms(f"({column}, {key}) {sign} (:after_key, :after_id)", order, params)


def slices(items: list[T]) -> Iterator[list[T]]:
    """Divide a list into pieces of at most SLICE."""
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))


def read_numbers(text: str) -> list[int]:
    return decode(text, list[int])


def load_rows(snapshot: Snapshot, statement: str, numbers: list[int], kind: type[T]) -> list[T]:
    """Read and decode the rows of these numbers, in this order."""
    found: list[T] = []
    for some in slices(numbers):
        found += read_concatenated(snapshot.rows(statement, {"numbers": encode(some).decode()})[0][0], kind)
    return found


def find_rows(snapshot: Snapshot, sql: str, params: Params) -> list[int]:
    """Read the numbers of the rows that the text `sql` gives, in their order."""
    return read_numbers(snapshot.rows_of(sql, params)[0][0])


def load_list(snapshot: Snapshot, sql: str, params: Params, statement: str, kind: type[T]) -> list[T]:
    """Read the rows whose numbers the text `sql` gives, by the statement of that name."""
    return load_rows(snapshot, statement, find_rows(snapshot, sql, params), kind)


def read_concatenated(text: str | None, kind: type[T]) -> list[T]:
    """Read the models of a `group_concat` of bodies; none for NULL."""
    return decode(f"[{text}]", list[kind]) if text else []  # type: ignore[valid-type]
