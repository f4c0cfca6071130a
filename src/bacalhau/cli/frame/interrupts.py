"""Ends of a command by a person or by the system: Ctrl-C (SIGINT) and SIGTERM, with the exit code that each has in a
shell.

SIGTERM does what Ctrl-C does, so that both end a command in order: requests are cancelled, files are closed, and no
traceback is printed.
"""

import os
import signal
from types import FrameType

_BASE = 128  # to which shells add the signal's number
_last = signal.SIGINT


def leave_at_once() -> None:
    """Let Ctrl-C end the process without a word until `listen`: nothing has begun that would have to end in order."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def listen() -> None:
    """Let both signals end a command in order from now on. A caller that ignores one goes on ignoring it."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def exit_code() -> int:
    """Return the exit code of a command that was interrupted: 130, or 143 by SIGTERM."""
    return _BASE + _last


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(_BASE + number)


def _terminate(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl-C does at this moment: an event loop cancels its work, all else is interrupted."""
    global _last
    _last = signal.SIGTERM
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
    else:
        raise KeyboardInterrupt
