"""Values of files as somebody wrote them: a number stays the text that it was until its place says what it means.

`MODE: 0644` is the text 0644 where text belongs, and a number where a number belongs.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin

import msgspec

from bacalhau.lib.wire import core_type

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WHOLE = 2**63  # whole numbers beyond it lose digits on their way


class Written:
    """A plain value of a file that is no text by the rules of its language: `text` is how it was written."""

    __slots__ = ("text", "value")

    def __init__(self, text: str, value: bool | int | float | None) -> None:
        self.text = text
        self.value = value

    @property
    def exact(self) -> Any:
        """The value where JSON writes it as it was written, else the text: a reader that wants text can have it."""
        if isinstance(self.value, int) and abs(self.value) >= _WHOLE:
            return self.text
        return self.value if json_text(self.value) == self.text else self.text


def truth_of(value: object) -> bool | None:
    """Return the truth value that a word means, in YAML of either version and in any case; None for other words."""
    return _TRUTH.get(str(value).strip().lower())


def json_text(value: Any) -> str:
    """Return the JSON of a value as text."""
    return msgspec.json.encode(value).decode()


def settled(value: Any, kind: Any) -> Any:
    """Return a value, with keys in the spelling of `kind`, as plain data of that type wherever it can be.

    Where text belongs, numbers and truth values become the text that they were written as; where a truth value belongs,
    the words yes, no, on and off mean one. What is absent or `null` in a struct or map is left out. What does not fit
    stays, for the conversion to refuse.
    """
    core = core_type(kind)
    if isinstance(value, dict):
        return _settled_map(value, core)
    if isinstance(value, list):
        item = get_args(core)[0] if get_origin(core) in (list, tuple) else Any
        return [_settled_item(each, item) for each in value]
    return _settled_leaf(value, core)


def _settled_map(value: Mapping[Any, Any], core: Any) -> dict[Any, Any]:
    if isinstance(core, type) and issubclass(core, msgspec.Struct):
        kinds = _kinds_of(core)
        return {key: settled(each, kinds.get(key, Any)) for key, each in value.items() if not is_null(each)}
    inner = get_args(core)[1] if get_origin(core) is dict else Any
    if core_type(inner) is str:
        return {key: settled(each, inner) for key, each in value.items() if not is_null(each) or _text(each) == "~"}
    return {key: None if is_null(each) else settled(each, inner) for key, each in value.items()}


@cache
def _kinds_of(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    """Find the types of a struct's fields, by their names on the wire."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


def _settled_item(value: Any, kind: Any) -> Any:
    """Settle an item of a list: none can be left out, so `~` and `null` are texts there."""
    return value.text if isinstance(value, Written) and value.value is None else settled(value, kind)


def _settled_leaf(value: Any, core: Any) -> Any:
    if core is str:
        return json_text(value) if isinstance(value, bool | int | float) else _text(value, value)
    if core is bool:
        word = _text(value, value)
        return _TRUTH.get(word.lower(), word) if isinstance(word, str) else word
    if isinstance(value, Written):
        return value.exact if core is Any else value.value
    return value


def is_null(value: Any) -> bool:
    """Tell whether a value is null, however that was written."""
    return value is None or (isinstance(value, Written) and value.value is None)


def _text(value: Any, otherwise: Any = None) -> Any:
    return value.text if isinstance(value, Written) else otherwise
