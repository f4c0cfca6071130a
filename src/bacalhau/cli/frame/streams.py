"""Text from and to terminals and pipes of any locale: UTF-8 comes in, and what a stream cannot show goes out as a
question mark.
"""

import io
import os
import sys
from collections.abc import Iterable

from bacalhau.lib.errors import BadRequest


def open_streams() -> None:
    """Make all three streams usable: one that the caller closed (`>&-`) reads nothing and discards all."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r+"))
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def read_stdin() -> str:
    """Read all of standard input. Raises BadRequest for bytes that are no text."""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as e:
        raise BadRequest("reading job file (stdin): it is no UTF-8 text") from e


def utf8_args(args: Iterable[str]) -> list[str]:
    """Decode arguments as UTF-8 whatever the locale is. Raises BadRequest for bytes that are no text."""
    return [arg if arg.isascii() or not _has_bytes(arg) else _decoded(arg) for arg in args]


def _has_bytes(text: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in text)


def _decoded(arg: str) -> str:
    try:
        return os.fsencode(arg).decode()
    except UnicodeDecodeError as e:
        raise BadRequest(f"argument {arg!a} is no UTF-8 text") from e
