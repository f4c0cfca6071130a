"""Failures on stderr: `Error: ` and the root cause, `Hint: ` and the cure, once; and colour on terminals."""

import os
import sys
from types import TracebackType
from typing import TextIO

import click

from bacalhau.cli.frame.lazy import resolve
from bacalhau.cli.frame.pflag import Mistake
from bacalhau.cli.frame.say import in_colour, say
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BacalhauError

RED, GREEN, BOLD = "31", "32", "1"


def coloured(stream: TextIO) -> bool:
    """Colour belongs on a terminal whose user did not refuse it."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: TextIO) -> str:
    return in_colour(text, colour) if coloured(stream) else text


def failed(error: BacalhauError | click.ClickException | OSError) -> int:
    """Print an expected failure; the exit code. A reader that went away (`| head`) is none."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, BacalhauError):
        return say_error(error.message, error.hint)
    if isinstance(error, click.ClickException):
        return say_error(error.format_message(), error.hint if isinstance(error, Mistake) else "")
    return say_error(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error), "")


def say_error(message: str, hint: str = "") -> int:
    """Messages of the older generation that name what failed (`error downloading job: …`) need no second `Error`."""
    prefix = "" if message.startswith("error ") else painted("Error: ", RED, sys.stderr)
    say(f"{prefix}{without_credentials(message)}", err=True)
    if hint:
        say(f"{painted('Hint:  ', GREEN, sys.stderr)}{without_credentials(hint)}", err=True)
    return 1


def say_warning(message: str) -> None:
    say(f"{painted('Warning: ', BOLD, sys.stderr)}{without_credentials(message)}", err=True)


def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nobody expected: one message, with DEBUG=true the trace."""
    if os.environ.get("DEBUG", "").lower() in ("1", "true"):
        say("".join(resolve("traceback:format_exception")(kind, error, trace)), err=True, nl=False)
    else:
        say_error(f"{kind.__name__}: {error}", "this is a fault of the program; DEBUG=true shows where it happened")
