"""A job's progress in lines, on stderr: queued, placed, pulling, staging with objects and bytes, running, publishing,
completed. `live` draws it on a terminal; these lines are for pipes, logs and dumb terminals.

A line is written when an execution comes to another stage, and now and then while that lasts; no line is written twice.
Of many executions their number in each stage is told, instead of a line for each.
"""

import asyncio
import time
from typing import NamedTuple

from bacalhau.cli.frame.say import say
from bacalhau.cli.output.stages import ENDED, PLACED, amounts_of, count_stages, place_of, stage_after
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import JobHistory, Topic
from bacalhau.models.wire.messages import Progress

_EVERY = 5.0  # seconds between two lines of one stage
_SOON = 1.0  # and between two of many executions
_AT_ONCE = 0.1  # in which what comes together is told together
_MANY = 4  # executions, from which on they are counted


class _Told(NamedTuple):
    """The last line of a stage of an execution, or of all: its text, and when it was written, in monotonic seconds."""

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
        if self._stages.get(execution_id) in ENDED:
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
        counts = count_stages([*self._stages.values()], self._wanted)
        amounts: list[str] = []
        for stage, count in zip(sorted(members, key=place_of), counts.split(", "), strict=True):
            staged = amounts_of(self._steps[i] for i in members[stage] if i in self._steps)
            amounts.append(f"{count} ({staged})" if staged else count)
        return counts, ", ".join(amounts)


class ProgressLines:
    """Never writes to stdout. `wanted` as in `_Stages`.

    Lines about many executions are written by the running event loop, a moment after what they tell of.
    """

    def __init__(self, wanted: int = 0) -> None:
        self._stages = _Stages(wanted)
        self._told: dict[tuple[str, str], _Told] = {}
        self._wrote = -_EVERY
        self._lines: set[str] = set()
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
            self.close()
            self._say("", state, state.lower())

    def _execution(self, event: JobHistory, node_id: str) -> None:
        """Note an event of an execution. One that ends is told of many only: the table of events tells it of few."""
        stage = stage_after(event)
        if not stage or not self._stages.put(event.execution_id, stage):
            return
        if self._stages.are_many:
            self._say_later()
        elif stage == PLACED:
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
        amounts = amounts_of([step])
        text = f"{short_id(step.execution_id)} {step.stage}"
        told = ": ".join(filter(None, (text, amounts, step.note)))
        self._say(step.execution_id, step.stage, told)

    def hide(self) -> None:
        """Do nothing: lines stay."""

    def close(self) -> None:
        """Write nothing more of what was noted."""
        if self._due:
            self._due.cancel()
        self._due = None

    def _say_later(self) -> None:
        if self._due is None:
            pause = max(_AT_ONCE, self._wrote + _SOON - time.monotonic())
            self._due = asyncio.get_running_loop().call_later(pause, self._say_all)

    def _say_all(self) -> None:
        self._due = None
        self._say("", *self._stages.texts())

    def _say(self, whose: str, stage: str, text: str) -> None:
        """Write a line that was not written before: at once when the stage is a new one, else after a while."""
        told, now = self._told.get((whose, stage), _Told()), time.monotonic()
        if text in self._lines or (told.text and now - told.wrote <= _EVERY):
            return
        say(text, err=True)
        self._lines.add(text)
        self._told[whose, stage] = _Told(text, now)
        if not whose:
            self._wrote = now
