"""Globs of strangers over names with slashes, such as the keys of objects, matched in time linear to the name.

`*` stands for any text and `?` for one character, neither of them a slash; `**` is any text, and `**/` any number of
folders, also none. `[a-c]` is one of some characters, `[!a-c]` one of all others; `[*]` is a star itself. The case
matters.
"""

import re
from collections.abc import Sequence

from bacalhau.border.names import shorten
from bacalhau.border.patterns import LONGEST_PATTERN, Pattern, PatternFault

LONGEST_GLOB = 1024  # characters, as many as a key of S3 has bytes
MOST_GLOBS = 100  # in one list: more of them are a list of names

_PARTS = re.compile(r"(?:\A|(?<=/))\*\*/|\*{2,}|\*|\?|\[[!^]?\]?[^\]]*\]|.", re.S)
_WILD = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
_SPECIAL = re.compile(r"[*?\[]")
_BEFORE, _AFTER = r"\.", "0"  # the characters beside the slash
_RANGE = re.compile(r"(.)-(.)|(.)", re.S)


def fixed_start(text: str) -> str:
    """Return how a glob begins before its first wild character."""
    return _SPECIAL.split(text, maxsplit=1)[0]


class KeyGlob:
    """A glob over whole names, level by level. Raises PatternFault when `text` is none."""

    def __init__(self, text: str) -> None:
        self._pattern = Pattern("(?s)" + _translate(text))
        self._levels = text.split("/")
        self._known: dict[int, Pattern] = {}
        self.start = fixed_start(text)

    def matches(self, name: str) -> bool:
        """Tell whether the whole name matches."""
        return self._pattern.matches(name)

    def narrow(self, folder: str) -> str:
        """Return how all names below a folder (which ends in a slash) begin that may match: with the folder, and more
        where the glob says so. "" where none can match.
        """
        names = folder.removesuffix("/").split("/")
        last = len(self._levels) - 1
        for at, name in enumerate(names):
            if "**" in self._levels[min(at, last)]:
                return folder
            if at >= last or not self._level(at).matches(name):
                return ""
        return folder + fixed_start("/".join(self._levels[len(names) :]))

    def _level(self, at: int) -> Pattern:
        if at not in self._known:
            self._known[at] = Pattern("(?s)" + _translate(self._levels[at]))
        return self._known[at]


class Globs:
    """A list of globs over paths. One without a slash is for the last name of a path, in any folder; one that ends in a
    slash is for all below that folder. Raises PatternFault, naming the glob that is none.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        if len(texts) > MOST_GLOBS:
            raise PatternFault(f"there are {len(texts)} of them, more than {MOST_GLOBS}")
        pattern = "(?s)" + "|".join(map(_anywhere, texts))
        if len(pattern) > LONGEST_PATTERN:
            raise PatternFault("together they are too long: use fewer, or a list of keys")
        self._pattern = Pattern(pattern)

    def match_any(self, path: str) -> bool:
        """Tell whether one of the globs matches the whole path."""
        return self._pattern.matches(path)


def _anywhere(text: str) -> str:
    whole = text.removeprefix("/") + "**" * text.endswith("/")
    try:
        if not text.strip("/"):
            raise PatternFault("it is empty")
        return _translate(whole if "/" in text.removesuffix("/") else "**/" + whole)
    except PatternFault as e:
        raise PatternFault(f"{shorten(text)!r}: {e}") from e


def _translate(text: str) -> str:
    if len(text) > LONGEST_GLOB:
        raise PatternFault(f"it has {len(text)} characters, more than {LONGEST_GLOB}")
    return "".join(map(_part, _PARTS.findall(text)))


def _part(part: str) -> str:
    if part == "[":
        raise PatternFault("a [ is not closed by a ]: write [[] for the character itself")
    if len(part) > 1 and part.startswith("["):
        return _class(part)
    return _WILD.get(part) or (".*" if part.startswith("**") else re.escape(part))


def _class(part: str) -> str:
    body = part[1:-1]
    is_negated = body[:1] in ("!", "^")
    found = [_range(*pair) for pair in _RANGE.findall(body[is_negated:])]
    if is_negated:
        return f"[^/{''.join(found)}]"
    if not any(found):
        raise PatternFault(f"{part} stands for no character: a slash stands outside of brackets")
    return f"[{''.join(found)}]"


def _range(low: str, high: str, single: str) -> str:
    """Write characters of a class, without the slash, which no wild character of one level stands for."""
    if single:
        return "" if single == "/" else re.escape(single)
    if low > high:
        raise PatternFault(f"{low}-{high} goes backwards")
    if not low <= "/" <= high:
        return f"{re.escape(low)}-{re.escape(high)}"
    before = "" if low == "/" else f"{re.escape(low)}-{_BEFORE}"
    return before if high == "/" else f"{before}{_AFTER}-{re.escape(high)}"
