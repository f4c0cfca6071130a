"""The paths of this node that jobs may mount: patterns of the administrator, matched where a path really leads."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import NamedTuple

_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_WILD = re.compile(r"[*?\[\\]")


class Rule(NamedTuple):
    """`pattern` is absolute: `*`, `?` and `[a-z]` stay within one name, `**` is any number of names,
    `{a,b}` is either.

    `forms` are the alternatives of the pattern, as names that stand for themselves or for what fnmatch matches.
    """

    pattern: str
    write: bool
    forms: tuple[tuple[str, ...], ...]

    @property
    def is_absolute(self) -> bool:
        return all(plain.startswith(("/", "**")) for plain in _alternatives(self.pattern))

    def allows(self, real: str) -> bool:
        """Tell whether the whole of `real`, a path without symlinks, matches."""
        names = _names(real)
        return self.is_absolute and any(_fits(form, names) for form in self.forms)


class Rules(tuple[Rule, ...]):
    """All rules of a node."""

    __slots__ = ()

    def may_change(self, folder: str) -> bool:
        """Tell whether a job may change what is in `folder`, a path without symlinks: it, or a folder above it, may be
        mounted with write access.
        """
        above = (folder, *map(str, PurePosixPath(folder).parents))
        return any(rule.write and rule.allows(one) for rule in self for one in above)


def read_rules(texts: Iterable[str]) -> Rules:
    """Read rules `pattern[:rw|:ro]`, without a suffix read-only; empty ones count for nothing.

    A pattern may begin with symlinks of the administrator: its part before the first wildcard is followed here, once.
    A link in a folder that jobs may change is not followed, because a job may have made it.
    """
    written = [text.strip() for text in texts if text.strip()]
    first = Rules(_read(text, lambda _: False) for text in written)
    return Rules(_read(text, first.may_change) for text in written)


def _read(text: str, may_change: Callable[[str], bool]) -> Rule:
    pattern = text[:-3] if text.endswith((":rw", ":ro")) else text
    return Rule(
        pattern, text.endswith(":rw"), tuple(tuple(_form(plain, may_change)) for plain in _alternatives(pattern))
    )


def _alternatives(pattern: str) -> Iterator[str]:
    found = _BRACES.search(pattern)
    if not found:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from _alternatives(pattern[: found.start()] + choice + pattern[found.end() :])


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _form(pattern: str, may_change: Callable[[str], bool]) -> list[str]:
    names = _names(pattern)
    wild = next((i for i, name in enumerate(names) if _WILD.search(name)), len(names))
    fixed = _names(_follow(names[:wild], may_change))
    return [_literal(name) for name in fixed] + [_in_fnmatch(name) for name in names[wild:]]


def _follow(names: list[str], may_change: Callable[[str], bool]) -> str:
    for at in range(len(names)):
        above = os.path.realpath("/" + "/".join(names[:at]))
        if may_change(above):
            return os.path.normpath(os.path.join(above, *names[at:]))
    return os.path.realpath("/" + "/".join(names))


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _in_fnmatch(name: str) -> str:
    """fnmatch has no backslash, and writes "none of these" only with `!`."""
    return re.sub(r"\\(.)|\[\^", lambda found: _literal(found[1]) if found[1] else "[!", name)


def _fits(pattern: Sequence[str], names: Sequence[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        return _fits(pattern[1:], names) or (bool(names) and _fits(pattern, names[1:]))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and _fits(pattern[1:], names[1:])
