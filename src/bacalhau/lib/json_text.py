"""JSON of people, whose numbers keep how they were written and whose doubled keys are told; `wire` reads all other."""

from importlib import import_module
from typing import Any

from bacalhau.lib.wire import decode, is_deep
from bacalhau.lib.written import Written
from bacalhau.lib.yaml_text import too_deep

_LONGEST = 400  # characters of a whole number; what is longer is none


def load_json(text: str) -> tuple[Any, list[str]]:
    """Read a JSON object, and return with it the keys that are given twice, of which the last one counts.

    Raises msgspec.DecodeError for what is no JSON object, and BadRequest for what is nested too deeply.
    """
    if is_deep(decode(text, dict)):
        raise too_deep()
    doubled: list[str] = []

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(given)
        if len(made) < len(given):
            names = [name for name, _ in given]
            doubled.extend(name for name in made if names.count(name) > 1)
        return made

    json: Any = import_module("json")
    tree = json.loads(
        text,
        object_pairs_hook=pairs,
        parse_int=lambda number: Written(number, whole(number, 10)),
        parse_float=lambda number: Written(number, float(number)),
    )
    return tree, doubled


def whole(text: str, base: int) -> int | float:
    """Return a whole number, infinite where it has too many digits to be one."""
    return int(text, base) if len(text) < _LONGEST else float("inf")
