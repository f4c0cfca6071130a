"""A job's progress, on stderr: queued, placed, pulling, staging with objects and bytes, running, publishing, completed.

On a terminal, unless it is a dumb one, one line is rewritten. Elsewhere a line is written when an execution comes to
another stage, and now and then while that lasts; no line is written twice in a row. Of many executions their number in
each stage is told, instead of a line for each.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

from bacalhau.border.names import shown
from bacalhau.cli.frame.say import own, say, terminal_width
from bacalhau.lib.ids import short_id
from bacalhau.lib.units import show_bytes
from bacalhau.models.execution.event import JobHistory, Topic
from bacalhau.models.wire.messages import Progress

_AGAIN = own("\r\x1b[K")  # to the beginning of the line, which is emptied
_EVERY = 5.0  # seconds between two lines of one stage where lines stay
_SOON = 1.0  # and between two of many executions
_AT_ONCE = 0.1  # in which what comes together is told together
_MANY = 4  # executions, from which on they are counted
_RUNNING = "Running"
_COMPLETED, _FAILED, _STOPPED = "completed", "failed", "stopped"
_ENDED = (_COMPLETED, _FAILED, _STOPPED)
_ORDER = ("running", "publishing", "staging", "downloading", "pulling", "preparing", "placed", *_ENDED)


class _Told(NamedTuple):
    """The last line of an execution, or of all: its stage and text, and when it was written, in monotonic seconds."""

    stage: str = ""
    text: str = ""
    wrote: float = -_EVERY


class _Stages:
    """The stage of each execution, and what it has staged. `wanted` is their number to be, 0 where nobody knows it."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._stages: dict[str, str] = {}
        self._steps: dict[str, Progress] = {}

    @property
    def are_many(self) -> bool:
        return max(self._wanted, len(self._stages)) >= _MANY

    def put(self, execution_id: str, stage: str, step: Progress | None = None) -> bool:
        """Note a stage; False for an execution that has ended, of which nothing new can come."""
        if self._stages.get(execution_id) in _ENDED:
            return False
        self._stages[execution_id] = stage
        self._steps.pop(execution_id, None)
        if step is not None:
            self._steps[execution_id] = step
        return True

    def texts(self) -> tuple[str, str]:
        """`8 of 12 running, 2 staging, 2 completed`, and the same with what is staged: `2 staging (1 of 4 objects)`."""
        members: dict[str, list[str]] = {}
        for execution_id, stage in self._stages.items():
            members.setdefault(stage, []).append(execution_id)
        total = f" of {self._wanted}" if self._wanted >= len(self._stages) else ""
        counts: list[str] = []
        amounts: list[str] = []
        for stage in sorted(members, key=_place):
            count = f"{len(members[stage])}{'' if counts else total} {stage}"
            staged = _amounts(self._steps[i] for i in members[stage] if i in self._steps)
            counts.append(count)
            amounts.append(f"{count} ({staged})" if staged else count)
        return ", ".join(counts), ", ".join(amounts)


class ProgressLine:
    """Never writes to stdout; `close` leaves the terminal's line clean. `wanted` as in `_Stages`.

    Lines about many executions are written by the running event loop, a moment after what they tell of.
    """

    def __init__(self, wanted: int = 0) -> None:
        self._tty = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._stages = _Stages(wanted)
        self._told: dict[str, _Told] = {}
        self._last = ""
        self._is_open = False
        self._due: asyncio.TimerHandle | None = None

    def event(self, event: JobHistory) -> None:
        details = event.event.details or {}
        state = details.get("NewState", "")
        if event.event.topic == Topic.QUEUEING or state == "Queued":
            _, _, reason = event.event.message.partition(". ")
            self._say("", "queued", f"queued: {reason}" if reason else "queued")
        elif event.execution_id:
            self._execution(event, details.get("NodeID", ""))
        elif state in ("Completed", "Failed", "Stopped"):
            if self._due:
                self._due.cancel()
            self._say("", state, state.lower())

    def _execution(self, event: JobHistory, node_id: str) -> None:
        """Note an event of an execution. One that ends is told of many only: the table of events tells it of few."""
        stage = "placed" if node_id and event.event.topic == Topic.SCHEDULING else _ending(event)
        if not stage or not self._stages.put(event.execution_id, stage):
            return
        if self._stages.are_many:
            self._say_later()
        elif stage == "placed":
            text = f"{short_id(event.execution_id)} placed on {short_id(node_id)}"
            self._say(event.execution_id, stage, text)

    def progress(self, step: Progress) -> None:
        if not step.execution_id:  # of the job, before it is placed
            self._say("", step.stage, step.note)
            return
        if not self._stages.put(step.execution_id, step.stage, step):
            return
        if self._stages.are_many:
            self._say_later()
            return
        amounts = _amounts([step])
        text = f"{short_id(step.execution_id)} {step.stage}"
        told = ": ".join(filter(None, (text, amounts, step.note)))
        self._say(step.execution_id, step.stage, told)

    def close(self) -> None:
        if self._tty and self._is_open:
            say(_AGAIN, err=True, nl=False)
        self._is_open = False

    def _say_later(self) -> None:
        if self._tty:
            self._say_all()
        elif self._due is None:
            pause = max(_AT_ONCE, self._told.get("", _Told()).wrote + _SOON - time.monotonic())
            self._due = asyncio.get_running_loop().call_later(pause, self._say_all)

    def _say_all(self) -> None:
        self._due = None
        self._say("", *self._stages.texts())

    def _say(self, whose: str, stage: str, text: str) -> None:
        told, now = self._told.get(whose, _Told()), time.monotonic()
        if self._tty:
            say(f"{_AGAIN}{_one_line(text)[: (terminal_width(sys.stderr) or 80) - 1]}", err=True, nl=False)
            self._is_open = True
        elif text != self._last and (stage != told.stage or (text != told.text and now - told.wrote > _EVERY)):
            say(text, err=True)
            self._last = text
            self._told[whose] = _Told(stage, text, now)


def _place(stage: str) -> int:
    return _ORDER.index(stage) if stage in _ORDER else 0


def _ending(event: JobHistory) -> str:
    """Name the stage in which an event leaves an execution; "" where it goes on."""
    if event.event.is_error:
        return _FAILED
    if event.event.topic == Topic.EXECUTION:
        return "" if event.event.message == _RUNNING else _COMPLETED
    return _STOPPED if event.event.topic == Topic.SCHEDULING else ""


def _amounts(steps: Iterable[Progress]) -> str:
    """`1 of 3 objects, 1.0 kB of 3.0 kB`; "" where nothing is counted."""
    done = total = bytes_done = bytes_total = 0
    for step in steps:
        done, total = done + step.done, total + step.total
        bytes_done, bytes_total = bytes_done + step.bytes_done, bytes_total + step.bytes_total
    parts = [f"{done} of {total} objects" if total else f"{done} objects"] if total or done else []
    if bytes_total or bytes_done:
        parts.append(show_bytes(bytes_done) + (f" of {show_bytes(bytes_total)}" if bytes_total else ""))
    return ", ".join(parts)


def _one_line(text: str) -> str:
    return " ".join(shown(text).split())
