"""Keys as text: finding them in any case, reading their values, listing them all."""

import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from bacalhau.config.schema import Config
from bacalhau.config.section import Seconds, Section
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import parse_duration, show_duration
from bacalhau.lib.wire import decode, fold_keys

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


MASK = "********"
SECRETS = ("Token", "Password", "APIKey")
"""The last part of the name of every setting that is shown to nobody."""


class Key(NamedTuple):
    """A setting: its spelling, its type as annotated, and that type without annotation."""

    name: str
    annotated: Any
    kind: Any


class Row(NamedTuple):
    """A setting for people; durations are Go text."""

    key: str
    value: Any
    description: str


def find_key(text: str) -> Key | type[Section] | None:
    """The setting or section of this name in any case; None when there is none."""
    kind: Any = Config
    names = []
    annotated: Any = Config
    for part in text.strip().lower().split("."):
        field = _fields(kind).get(part) if _is_section(kind) else None
        if field is None:
            return None
        names.append(field.encode_name)
        annotated, kind = field.type, _core(field.type)
    return kind if _is_section(kind) else Key(".".join(names), annotated, kind)


_known_fields: dict[type[Section], dict[str, msgspec.structs.FieldInfo]] = {}


def _fields(section: type[Section]) -> dict[str, msgspec.structs.FieldInfo]:
    found = _known_fields.get(section)
    if found is None:
        found = _known_fields[section] = {f.encode_name.lower(): f for f in msgspec.structs.fields(section)}
    return found


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and not isinstance(kind, types.GenericAlias) and issubclass(kind, Section)


def _core(annotated: Any) -> Any:
    return annotated.__origin__ if get_origin(annotated) is Annotated else annotated


def read_value(key: Key, given: Any, origin: str) -> Any:
    """`given`, text or what a file held, as a value of the key's type.

    Raises BadRequest naming key, value and what was expected.
    """
    try:
        return msgspec.convert(_read(key.kind, given), key.annotated)
    except (ValueError, TypeError, msgspec.ValidationError) as e:
        expected, formats = _expected(key)
        raise BadRequest(
            f'config key: "{key.name}" expects {expected}, received: "{given}" (from {origin})',
            hint=f"Accepted formats: {formats}",
        ) from e


def _read(kind: Any, given: Any) -> Any:
    """Text by the rules of the kind; anything else is left for the conversion to judge."""
    if kind is Seconds:
        return parse_duration(given) if isinstance(given, str) else 0.0 if given == 0 else given
    if kind is str:
        return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given
    read = _read_text(kind, given.strip()) if isinstance(given, str) else given
    if get_origin(kind) is tuple and isinstance(read, list):
        read = [_spelled(get_args(kind)[0], item) for item in read]
    return fold_keys(read, kind)[0]


def _read_text(kind: Any, text: str) -> Any:
    if kind is bool:
        return _read_bool(text)
    if (text.startswith("[") and get_origin(kind) is tuple) or (text.startswith("{") and get_origin(kind) is dict):
        return decode(text, Any)
    if get_origin(kind) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if get_origin(kind) is dict:
        pairs = [item.partition("=") for item in text.split(",") if item.strip()]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError(text)
        return {name.strip(): value.strip() for name, _, value in pairs}
    if get_origin(kind) is Literal:
        return _spelled(kind, text)
    return int(text)


def _spelled(kind: Any, given: Any) -> Any:
    """Return the word of a choice that was given in any case; anything else as it is."""
    if get_origin(kind) is not Literal or not isinstance(given, str):
        return given
    return next((word for word in get_args(kind) if word.lower() == given.lower()), given)


def _read_bool(text: str) -> bool:
    if text not in _TRUE + _FALSE:
        raise ValueError(text)
    return text in _TRUE


def _expected(key: Key) -> tuple[str, str]:
    kind = key.kind
    if get_origin(kind) is Literal:
        return f"one of {_choice(kind)}", _choice(kind)
    known = {
        bool: ("a boolean value", "'true', 'false'"),
        int: (
            "an integer value",
            "'1', '2', '10', etc." if "65535" not in repr(key.annotated) else "a port from 0 to 65535",
        ),
        str: ("a text", "'text'"),
        Seconds: (f"a duration{_least(key.annotated)}", "'30s', '1m30s', '2h', etc."),
    }
    if kind in known:
        return known[kind]
    if get_origin(kind) is not tuple:
        return "a map", "'a=1,b=2'"
    item = get_args(kind)[0]
    return (f"a list of {_choice(item)}", _choice(item)) if get_origin(item) is Literal else ("a list", "'a,b,c'")


def _choice(kind: Any) -> str:
    return ", ".join(word or '""' for word in get_args(kind))


def _least(annotated: Any) -> str:
    bounds = [
        meta.ge
        for meta in getattr(annotated, "__metadata__", ())
        if isinstance(meta, msgspec.Meta) and meta.ge is not None
    ]
    return f" of at least {show_duration(bounds[0])}" if bounds else ""


def _walk(section: Section, prefix: str) -> Iterator[tuple[str, Any, msgspec.structs.FieldInfo]]:
    for field in _fields(type(section)).values():
        name, value = f"{prefix}{field.encode_name}", getattr(section, field.name)
        if isinstance(value, Section):
            yield from _walk(value, f"{name}.")
        else:
            yield name, value, field


def config_rows(config: Config, *, blank: str | None = MASK) -> list[Row]:
    """Every setting, sorted by key. `blank` stands in place of secrets; None shows them."""
    rows = (
        Row(name, _hidden(name, _shown(field, value), blank), _description(field))
        for name, value, field in _walk(config, "")
    )
    return sorted(rows, key=lambda row: row.key)


def _shown(field: msgspec.structs.FieldInfo, value: Any) -> Any:
    return show_duration(value) if _core(field.type) is Seconds else msgspec.to_builtins(value)


def _hidden(name: str, value: Any, blank: str | None) -> Any:
    """Show users, but not their proofs, and URLs, but not the credentials in them."""
    if isinstance(value, list | tuple):
        return [_hidden("", item, blank) for item in value]
    if isinstance(value, dict):
        return {inner: _hidden(inner, item, blank) for inner, item in value.items()}
    if not value or blank is None:
        return value
    if name.rpartition(".")[2] in SECRETS:
        return blank
    return without_credentials(value, blank) if isinstance(value, str) else value


def _description(field: msgspec.structs.FieldInfo) -> str:
    return " ".join(m.description for m in getattr(field.type, "__metadata__", ()) if m.description)


def config_tree(config: Config, *, blank: str | None = "") -> dict[str, Any]:
    """Nested plain values as a file holds them; `blank` as in `config_rows`."""
    return tree_of(config_rows(config, blank=blank))


def tree_of(rows: Iterable[Row]) -> dict[str, Any]:
    """Rows as the nested sections of a file."""
    tree: dict[str, Any] = {}
    for row in rows:
        *path, name = row.key.split(".")
        here = tree
        for part in path:
            here = here.setdefault(part, {})
        here[name] = row.value
    return tree
