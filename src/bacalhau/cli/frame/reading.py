"""Readers of the values of flags: durations, words of a few, whole numbers.

A reader takes the text of the command line and returns the value, or raises BadParameter, which becomes an error that
names flag and text.
"""

from collections.abc import Callable

import click

from bacalhau.lib.units import parse_duration


def duration(value: str) -> float:
    """Read Go's `5m` or `1h30m`, in seconds."""
    try:
        return parse_duration(value)
    except ValueError as e:
        raise click.BadParameter("a duration needs a unit, as 30s, 5m or 1h30m") from e


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


def whole(least: int) -> Callable[[str | int], int]:
    """Make a reader of whole numbers not below `least`."""

    def convert(value: str | int) -> int:
        try:
            number = int(value)
        except ValueError as e:
            raise click.BadParameter("must be a whole number") from e
        if number < least:
            raise click.BadParameter(f"must be {least} or more")
        return number

    return convert


def tail(value: str | bool | int) -> bool | int:
    """Read `true`, from now on, or a number, that many of the last lines; no last lines is from now on, too."""
    if isinstance(value, bool | int) or value in ("true", "false"):
        return value if isinstance(value, bool | int) else value == "true"
    if not value.isdigit():
        raise click.BadParameter("must be a number of lines")
    return int(value) or True
