"""The paths of this node that jobs may mount: patterns of the administrator, matched where a path really leads."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_WILD = re.compile(r"[*?\[\\]")


class Rule(NamedTuple):
    """`pattern` is absolute: `*`, `?` and `[a-z]` stay within one name, `**` is any number of names,
    `{a,b}` is either.
    """

    pattern: str
    write: bool

    @property
    def is_absolute(self) -> bool:
        return all(plain.startswith(("/", "**")) for plain in _alternatives(self.pattern))

    def allows(self, real: str) -> bool:
        """Tell whether the whole of `real`, a path without symlinks, matches.

        Looks at the disk: the pattern may begin with symlinks.
        """
        parts = _names(real)
        return self.is_absolute and any(_fits(_real_names(plain), parts) for plain in _alternatives(self.pattern))


def read_rule(text: str) -> Rule:
    """`pattern[:rw|:ro]`; without a suffix read-only."""
    clean = text.strip()
    return Rule(clean[:-3] if clean.endswith((":rw", ":ro")) else clean, clean.endswith(":rw"))


def _alternatives(pattern: str) -> Iterator[str]:
    found = _BRACES.search(pattern)
    if not found:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from _alternatives(pattern[: found.start()] + choice + pattern[found.end() :])


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _real_names(pattern: str) -> list[str]:
    """The part before the first wildcard is followed through symlinks, as the path was."""
    names = _names(pattern)
    wild = next((i for i, name in enumerate(names) if _WILD.search(name)), len(names))
    fixed = _names(os.path.realpath("/" + "/".join(names[:wild])))
    return [_literal(name) for name in fixed] + [_in_fnmatch(name) for name in names[wild:]]


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _in_fnmatch(name: str) -> str:
    """fnmatch has no backslash, and writes "none of these" only with `!`."""
    return re.sub(r"\\(.)|\[\^", lambda found: _literal(found[1]) if found[1] else "[!", name)


def _fits(pattern: list[str], names: list[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        return _fits(pattern[1:], names) or (bool(names) and _fits(pattern, names[1:]))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and _fits(pattern[1:], names[1:])
