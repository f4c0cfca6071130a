"""The words for fields that nobody knows: where each one stands, and which known one may have been meant."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec

_INDEX = re.compile(r"\[\d+\]$")


def unknown_fields(paths: Iterable[str], kind: type[msgspec.Struct], root: str) -> list[str]:
    """Tell of the fields at `paths`, as `fold_keys` returns them, that `kind` does not have; `root` is its place."""
    return [_unknown_at(path, kind, root) for path in paths]


def unknown_field(name: str, place: str, known: Sequence[str] = ()) -> str:
    """Tell of a field with a name that is none of the `known` ones."""
    spelled = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), spelled, n=1)
    cure = f" (did you mean '{spelled[close[0]]}'?)" if close else ""
    return f"unknown field: '{name}' in '{place}'{cure}"


def _unknown_at(path: str, kind: type[msgspec.Struct], root: str) -> str:
    parent, _, name = path.rpartition(".")
    return unknown_field(name, f"{root}.{parent}" if parent else root, _names_at(kind, parent))


def _names_at(kind: Any, path: str) -> list[str]:
    """The field names of the struct that stands at `path` below `kind`; none where a name has a dot in it."""
    fields = {f.encode_name.lower(): f for f in msgspec.structs.fields(kind)} if kind else {}
    if not path:
        return [f.encode_name for f in fields.values()]
    head, _, rest = path.partition(".")
    found = fields.get(_INDEX.sub("", head).lower())
    return _names_at(_struct_in(found.type), rest) if found else []


def _struct_in(kind: Any) -> Any:
    """`tuple[X, ...] | None` → `X`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for argument in get_args(kind) if (found := _struct_in(argument))), None)
