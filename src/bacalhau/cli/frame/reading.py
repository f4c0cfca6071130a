"""Readers of the values of flags: durations, words of a few, whole numbers.

A reader takes the text of the command line and returns the value, or raises BadParameter, which becomes an error that
names flag and text.
"""

import re
from collections.abc import Callable

import click

from bacalhau.lib.units import parse_bytes, parse_duration

_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")  # Python reads no number of more than 4300 digits
_LARGEST = 2**63 - 1


def duration(value: str) -> float:
    """Read Go's `5m` or `1h30m`, in seconds."""
    if value.startswith("-"):
        raise click.BadParameter("must not be negative")
    try:
        return parse_duration(value)
    except ValueError as e:
        raise click.BadParameter("a duration needs a unit, as 30s, 5m or 1h30m") from e


def amount(value: str) -> int:
    """Read an amount of bytes, as 512Mb or 1Gi."""
    try:
        return parse_bytes(value)
    except ValueError as e:
        raise click.BadParameter("must be an amount of bytes, as 512Mb or 10Gb") from e


def duration_text(value: str) -> str:
    """Check a duration and return its text."""
    duration(value)
    return value


class OneOf:
    """A reader of one of a few words, in any case. `says` is the error, with {} for what was given."""

    def __init__(self, *words: str, says: str = "") -> None:
        self.__name__ = "word"
        self.words = words
        self._says = says or "must be one of " + ", ".join(f'"{word}"' for word in words)

    def __call__(self, value: str) -> str:
        for word in self.words:
            if value.lower() == word.lower():
                return word
        raise click.BadParameter(self._says.replace("{}", value))


def whole_or(word: str, least: int) -> Callable[[str | int], int | str]:
    """Make a reader of whole numbers from `least` on, or of a word in any case."""
    read = whole(least)

    def convert(value: str | int) -> int | str:
        return word if isinstance(value, str) and value.lower() == word else read(value)

    return convert


def whole(least: int, most: int = _LARGEST) -> Callable[[str | int], int]:
    """Make a reader of whole numbers from `least` to `most`; the API takes none above 2⁶³ - 1."""
    bounds = f"must be {least} or more" if most == _LARGEST else f"must be from {least} to {most}"

    def convert(value: str | int) -> int:
        if isinstance(value, int):
            return value
        if not _WHOLE.fullmatch(value):
            raise click.BadParameter("must be a whole number")
        number = int(value)
        if number < least:
            raise click.BadParameter(bounds)
        if number > most:
            raise click.BadParameter(bounds if most < _LARGEST else f"must be {most} or less")
        return number

    return convert


_lines = whole(0)


def tail(value: str | bool | int) -> bool | int:
    """Read `true` as True, which asks for new output only, or a number of last lines; 0 lines are True, too."""
    if isinstance(value, bool | int):
        return value
    if value in ("true", "false"):
        return value == "true"
    return _lines(value) or True
