"""A job's stage, on stderr: queued, placed, pulling, staging with objects and bytes, running, publishing, completed.

On a terminal one line is rewritten; elsewhere a line is written when the stage changes, and now and then while it
lasts.
"""

import sys
import time

from bacalhau.border.names import shown
from bacalhau.cli.frame.say import own, say, terminal_width
from bacalhau.lib.ids import short_id
from bacalhau.lib.units import show_bytes
from bacalhau.models.execution.event import JobHistory, Topic
from bacalhau.models.wire.messages import Progress

_AGAIN = own("\r\x1b[K")  # to the beginning of the line, which is emptied
_EVERY = 5.0  # seconds between two lines of one stage where lines stay


class ProgressLine:
    """Never writes to stdout; `close` leaves the terminal's line clean."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._stage = ""
        self._wrote = 0.0

    def event(self, event: JobHistory) -> None:
        state = (event.event.details or {}).get("NewState", "")
        if event.event.topic == Topic.QUEUEING or state == "Queued":
            _, _, reason = event.event.message.partition(". ")
            self._say("queued", f"queued: {reason}" if reason else "queued")
        elif event.event.topic == Topic.SCHEDULING and event.execution_id and "NodeID" in (event.event.details or {}):
            node = (event.event.details or {})["NodeID"]
            self._say(f"placed {event.execution_id}", f"{short_id(event.execution_id)} placed on {short_id(node)}")
        elif not event.execution_id and state in ("Completed", "Failed", "Stopped"):
            self._say(state, state.lower())

    def progress(self, step: Progress) -> None:
        text = f"{short_id(step.execution_id)} {step.stage}"
        if step.total or step.done:
            text += f": {step.done} of {step.total} objects" if step.total else f": {step.done} objects"
        if step.bytes_total or step.bytes_done:
            done = show_bytes(step.bytes_done)
            text += f", {done} of {show_bytes(step.bytes_total)}" if step.bytes_total else f", {done}"
        self._say(f"{step.stage} {step.execution_id}", text)

    def close(self) -> None:
        if self._tty and self._stage:
            say(_AGAIN, err=True, nl=False)
        self._stage = ""

    def _say(self, stage: str, text: str) -> None:
        now = time.monotonic()
        if self._tty:
            say(f"{_AGAIN}{_one_line(text)[: (terminal_width(sys.stderr) or 80) - 1]}", err=True, nl=False)
        elif stage != self._stage or now - self._wrote > _EVERY:
            say(text, err=True)
            self._wrote = now
        self._stage = stage


def _one_line(text: str) -> str:
    return " ".join(shown(text).split())
