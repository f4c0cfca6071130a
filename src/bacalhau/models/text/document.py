"""The text of a job file as a tree: YAML 1.2 as people write it, or JSON.

Plain values keep how they were written (`lib/written.py`), because only the field that they stand in says whether
`0644` is a text or a number. `yes`, `22:22`, `=` and dates are texts. Of a key that is given twice the last one counts,
and of several documents the first; both are told.
"""

import re
from typing import Any

import msgspec

from bacalhau.lib.json_text import load_json, whole
from bacalhau.lib.written import Written
from bacalhau.lib.yaml_text import load_first, safe_loader

_TAG = "tag:yaml.org,2002:"
_RULES = {  # the core schema, and the key that merges maps
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), ("~", "n", "N", "")),
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
    "int": (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), "-+0123456789"),
    "float": (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        "-+0123456789.",
    ),
    "merge": (re.compile(r"<<\Z"), "<"),
}
_BASES = {"0o": 8, "0x": 16}


def read_document(text: str) -> tuple[Any, list[str]]:
    """Return the tree of a text, and warnings. Raises BadRequest with the place of what is broken."""
    if text.lstrip().startswith("{"):
        try:
            tree, doubled = load_json(text)
        except msgspec.DecodeError:
            pass  # `{a: b}` is YAML
        else:
            return tree, [_doubled(name) for name in doubled]
    notes: list[str] = []
    tree, following = load_first(text, lambda yaml: _loader(yaml, notes))
    if following:
        notes.append(f"the file holds more than one document: the one that begins at line {following} is ignored")
    return tree, notes


def _doubled(name: str, where: str = "") -> str:
    return f"key '{name}' is given twice{where}: the last one counts"


def _plain(tag: str, text: str) -> Written:
    if tag == "int":
        return Written(text, whole(text, _BASES.get(text[:2], 10)))
    if tag == "float":
        return Written(text, float(text.lower().replace(".inf", "inf").replace(".nan", "nan")))
    return Written(text, text.lower() == "true" if tag == "bool" else None)


def _loader(yaml: Any, notes: list[str]) -> Any:
    """Make a safe loader with the rules of YAML 1.2, whose keys are texts. It adds to `notes`."""
    safe: Any = safe_loader(yaml)
    made = {
        _TAG + tag: lambda self, node, tag=tag: _plain(tag, self.construct_scalar(node))
        for tag in ("null", "bool", "int", "float")
    }
    rules = {
        "yaml_implicit_resolvers": _resolvers(),
        "yaml_constructors": safe.yaml_constructors | made,
        "notes": notes,
        "broken": yaml.constructor.ConstructorError,
    }
    return type("Loader", (_TextKeys, safe), rules)


class _TextKeys:
    """The part of a loader that reads maps, above the library's own; `notes` and `broken` are the whole loader's."""

    notes: list[str]
    broken: Any

    def __init__(self, stream: str) -> None:
        super().__init__(stream)  # type: ignore[call-arg]
        self._seen: set[int] = set()

    def flatten_mapping(self, node: Any) -> None:
        """Merge maps into a map. What it has twice before that was written twice."""
        if id(node) not in self._seen:
            self._seen.add(id(node))
            self._look_at_keys(node)
        super().flatten_mapping(node)  # type: ignore[misc]

    def _look_at_keys(self, node: Any) -> None:
        met: set[str] = set()
        for key, _ in node.value:
            mark = key.start_mark
            if not isinstance(key.value, str):
                raise self.broken(problem="a key must be a text", problem_mark=mark)
            if key.value in met:
                self.notes.append(_doubled(key.value, f" (line {mark.line + 1}, column {mark.column + 1})"))
            met.add(key.value)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        self.flatten_mapping(node)
        made: Any = self
        return {key.value: made.construct_object(value, deep=deep) for key, value in node.value}


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return the rules by the first character of a value, which is "" for an empty one."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, (pattern, beginnings) in _RULES.items():
        for first in beginnings:
            found.setdefault(first, []).append((_TAG + tag, pattern))
    return found
