"""The one way in which text reaches a terminal; only the output of jobs (`output/printing.py`) goes past it.

Names, labels, messages and errors are written by strangers, also those in the answers of a server. Characters in them
that a terminal would obey are escaped. Colours of our own are made by `own`, whose mark nobody can know.
"""

import os
from typing import TextIO

import click

from bacalhau.border.names import shown

_MARK = f"\x1b{os.urandom(8).hex()}"


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write text to stdout, or to stderr with `err`. Control characters other than newline and tab are escaped."""
    pieces = text.split(_MARK)
    pieces[::2] = map(shown, pieces[::2])
    click.echo("".join(pieces), err=err, nl=nl)


def own(control: str) -> str:
    """Mark a control sequence of ours, so that `say` writes it as it is."""
    return f"{_MARK}{control}{_MARK}"


def in_colour(text: str, colour: str) -> str:
    """Put a text between a colour's control sequence, such as 31 for red, and the one that ends it."""
    return own("\x1b[" + colour + "m") + text + own("\x1b[0m")


def terminal_width(stream: TextIO) -> int:
    """Return the columns of a stream's terminal; 0 where it is none, or does not tell."""
    if not stream.isatty():
        return 0
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() else os.get_terminal_size(stream.fileno()).columns
