"""The way from Python names and values to the wire's JSON, once for every floor.

Structs are frozen; the wire's PascalCase is `wire_name`. Go's `omitempty` is msgspec's `omit_defaults`: a field with a
plain default is absent while it holds it, a field made with `always(...)` is written even when empty.
"""

import types
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar, Union, dataclass_transform, get_args, get_origin

import msgspec

from bacalhau.lib.errors import BadRequest

T = TypeVar("T")

MAX_PROBLEMS = 100  # told at once
MAX_SHOWN = 200  # characters of a wrong value
MAX_DEPTH = 100  # maps and lists within one another, in bodies of requests and in files

_ESCAPES = {
    b"<": b"\\u003c",
    b">": b"\\u003e",
    b"&": b"\\u0026",
    b"\xe2\x80\xa8": b"\\u2028",
    b"\xe2\x80\xa9": b"\\u2029",
}
_ACRONYMS = {
    "id": "ID",
    "cpu": "CPU",
    "gpu": "GPU",
    "gpus": "GPUs",
    "url": "URL",
    "cid": "CID",
    "os": "OS",
    "pci": "PCI",
}


def wire_name(name: str) -> str:
    """`job_id` → `JobID`, `create_time` → `CreateTime`."""
    return "".join(_ACRONYMS.get(part) or part.capitalize() for part in name.split("_"))


def always(*, factory: Callable[[], T]) -> T:
    """A field default that is written even when it is the empty value. A default that is a struct is made once and
    shared, because structs are frozen.
    """
    is_struct = isinstance(factory, type) and issubclass(factory, msgspec.Struct)
    make: Callable[[], T] = cache(factory) if is_struct else factory
    # The lambda matters: msgspec recognises the types of lists and maps, and would omit empty ones.
    made: T = msgspec.field(default_factory=make if is_struct or factory in (str, int) else lambda: make())
    return made


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field, always))
class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=wire_name, gc=False):
    """Base of everything that crosses a process boundary.

    Such values are trees, so the garbage collection need not know of them: they end with their last reference.
    """


def go_escaped(data: bytes) -> bytes:
    """JSON with the five characters escaped that Go's encoder escapes; outside strings there are none of them."""
    for raw, escaped in _ESCAPES.items():
        if raw in data:
            data = data.replace(raw, escaped)
    return data


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def decode(data: bytes | str, kind: type[T]) -> T:
    """Read JSON of a type. Raises msgspec.DecodeError, a ValueError, for all that cannot be read: also for text that is
    not UTF-8, and for nesting that is too deep.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except UnicodeDecodeError as e:
        raise msgspec.DecodeError(f"JSON is malformed: text that is not UTF-8 ({e.reason})") from e
    except RecursionError as e:
        raise msgspec.DecodeError("JSON is nested too deep") from e


def is_deep(value: Any) -> bool:
    """Tell whether maps and lists are nested deeper than MAX_DEPTH levels.

    It looks level by level, because what goes down by recursion fails at depths that differ from place to place.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(item, dict | list) for item in level)


def fold_keys(raw: Any, kind: Any) -> tuple[Any, list[str]]:
    """Give the keys of `raw` the spelling of `kind`'s fields, whatever their case; maps (Params, Env, Labels) stay as
    they are.

    Returns the folded value and the paths of unknown keys, such as `Tasks[0].Nope`.
    """
    unknown: list[str] = []
    return _fold(raw, _plan(kind), "", unknown), unknown


def _fold(raw: Any, plan: "_Plan", path: str, unknown: list[str]) -> Any:
    if isinstance(plan, dict) and isinstance(raw, dict):
        folded: dict[str, Any] = {}
        for key, value in raw.items():
            known = plan.get(str(key).lower())
            if known is None:
                unknown.append(f"{path}.{key}" if path else str(key))
            elif known.plan and isinstance(value, _NESTED):
                folded[known.name] = _fold(value, known.plan, f"{path}.{key}" if path else str(key), unknown)
            else:
                folded[known.name] = value
        return folded
    if isinstance(plan, _ListOf) and isinstance(raw, list | tuple):
        return [_fold(value, plan.plan, f"{path}[{i}]", unknown) for i, value in enumerate(raw)]
    return raw


class _ListOf(NamedTuple):
    item: Any
    plan: "_Plan"


class _Known(NamedTuple):
    """A field of a struct: its name on the wire, its type, and how values of that are folded."""

    name: str
    kind: Any
    plan: "_Plan"


_Plan = dict[str, _Known] | _ListOf | None
_NESTED = (dict, list)
_plans: dict[Any, _Plan] = {}


def _plan(kind: Any) -> _Plan:
    """Decide how values of a type are folded: field names by lower-case key, the item type of a list, or None to leave
    them.
    """
    try:
        return _plans[kind]
    except KeyError:
        core = core_type(kind)
        made: _Plan = None
        if isinstance(core, type) and issubclass(core, msgspec.Struct):
            made = {
                f.encode_name.lower(): _Known(f.encode_name, f.type, _plan(f.type))
                for f in msgspec.structs.fields(core)
            }
        elif get_origin(core) in (list, tuple):
            item = get_args(core)[0]
            made = _ListOf(item, _plan(item))
        _plans[kind] = made
        return made


def core_type(kind: Any) -> Any:
    """`X | None` → `X`."""
    if isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        rest = [a for a in get_args(kind) if a is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def convert_all(raw: Any, kind: type[T]) -> T:
    """`msgspec.convert`, but a failure lists every wrong field with its path, value and expected type."""
    found, problems = convert_sound(raw, kind)
    if problems or found is None:
        raise BadRequest(problems)
    return found


def convert_sound(raw: Any, kind: type[T]) -> tuple[T | None, list[str]]:
    """Return a value made of the sound fields (None if that is impossible), and every wrong field with its path, value
    and expected type.
    """
    problems: list[str] = []
    try:
        return msgspec.convert(raw, kind), problems
    except msgspec.ValidationError as e:
        sound = _sound(raw, kind, "", problems)
        whole = str(e)
    problems[MAX_PROBLEMS:] = ["…and more"] * (len(problems) > MAX_PROBLEMS)
    try:
        return msgspec.convert(sound, kind), problems or [whole]
    except msgspec.ValidationError:
        return None, problems or [whole]


_WRONG = object()


def _sound(raw: Any, kind: Any, path: str, problems: list[str]) -> Any:
    """`raw` without its wrong fields; `_WRONG` when it is one itself."""
    plan = _plan(kind)
    if isinstance(plan, dict) and isinstance(raw, dict):
        tried = {
            name: _sound(raw[name], inner, f"{path}.{name}" if path else name, problems)
            for name, inner, _ in plan.values()
            if name in raw
        }
        return {name: value for name, value in tried.items() if value is not _WRONG}
    if isinstance(plan, _ListOf) and isinstance(raw, list):
        items = [_sound(value, plan.item, f"{path}[{i}]", problems) for i, value in enumerate(raw)]
        return [value for value in items if value is not _WRONG]
    try:
        msgspec.convert(raw, kind)
    except msgspec.ValidationError as e:
        if len(problems) <= MAX_PROBLEMS:
            problems.append(f"field '{path}': {str(e)[:1].lower()}{str(e)[1:]} (value: {_shown(raw)})")
        return _WRONG
    return raw


def _shown(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
