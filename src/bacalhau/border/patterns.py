"""Regular expressions of strangers, matched in time linear to the text: RE2, which the original uses too.

Python's own engine needs exponential time for some patterns of ten characters, so no pattern of a job or a command line
may reach it.
"""

import importlib
import re
from typing import Any

from bacalhau.border.names import shorten

LONGEST_PATTERN = 4096  # characters; a longer one is a list that should be a prefix
_MEMORY = 1 << 20  # bytes for the compiled program and its states; `a{1000}{1000}` asks for more and is refused

_WILD = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_PARTS = re.compile(r"\*\*|.", re.S)


class PatternFault(ValueError):
    """A pattern that RE2 does not take; its text says why."""


class Pattern:
    """A compiled regular expression of RE2's dialect. Raises PatternFault when `text` is none."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_PATTERN:
            raise PatternFault(f"it has {len(text)} characters, more than {LONGEST_PATTERN}")
        re2: Any = importlib.import_module("re2")
        options = re2.Options()
        options.max_mem, options.log_errors = _MEMORY, False
        try:
            # Bytes, so that text which is not UTF-8 is searched like any other.
            self._compiled = re2.compile(_bytes(text), options)
        except re2.error as e:
            raise PatternFault(_words(e)) from e

    def search(self, text: str) -> tuple[str | None, ...] | None:
        """Find the leftmost match: the whole first, then each group (None where it took no part). None without one."""
        return _groups(self._compiled.search(_bytes(text)))

    def fullmatch(self, text: str) -> tuple[str | None, ...] | None:
        """Match the whole text, and return what `search` returns."""
        return _groups(self._compiled.fullmatch(_bytes(text)))

    def matches(self, text: str) -> bool:
        """Tell whether the whole text matches."""
        return self._compiled.fullmatch(_bytes(text)) is not None


class Glob:
    """A pattern in which `*` is any text and `?` any character, neither of them a slash; `**` is any text with slashes.

    The case matters.
    Raises PatternFault when it is too long.
    """

    def __init__(self, text: str) -> None:
        self._pattern = Pattern("".join(_WILD.get(part, re.escape(part)) for part in _PARTS.findall(text)))

    def matches(self, text: str) -> bool:
        """Tell whether the whole text matches."""
        return self._pattern.matches(text)


def _groups(found: Any) -> tuple[str | None, ...] | None:
    if found is None:
        return None
    return tuple(None if each is None else _text(each) for each in (found[0], *found.groups()))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(found: bytes) -> str:
    return found.decode("utf-8", "replace")


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else str(error)
    return shorten(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))
