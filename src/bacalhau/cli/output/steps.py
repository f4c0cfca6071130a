"""Progress for a waiting user, on stdout: the older generation's steps, or the newer one's table of events.

One line when it is known.
"""

import sys
import textwrap
import time
from typing import Protocol

from bacalhau.cli.frame.report import GREEN, RED, painted
from bacalhau.cli.frame.say import say
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.job.job import Job
from bacalhau.models.job.state import JobStateType

_WIDTH = 30
_TOPIC = 15
_STEPS = {
    JobStateType.PENDING.value: "Creating job for submission",
    JobStateType.QUEUED.value: "Job waiting to be scheduled",
    JobStateType.RUNNING.value: "Job in progress",
}
DONE, FAILED, WAITING = "done ✅", "err  ❌", "wait ⏳"


class Account(Protocol):
    """The interface of all that prints progress."""

    def event(self, event: JobHistory) -> None: ...

    def end(self, job: Job) -> None: ...


class Steps:
    """`⇥Job in progress  ................  done ✅  2.1s`, a line when the step is over; each step at most once."""

    def __init__(self, width: int = _WIDTH) -> None:
        self._width = width
        self._text = ""
        self._began = time.monotonic()
        self._seen: set[str] = set()

    def begin(self, text: str) -> None:
        """Begin a step. The one before it is printed as done."""
        self.finish(DONE)
        self._seen.add(text)
        self._text, self._began = text, time.monotonic()

    def finish(self, mark: str) -> None:
        if self._text:
            say(f"\t{self._text:>{self._width}}  {'.' * 16}  {mark}  {_timer(time.monotonic() - self._began)}")
        self._text = ""

    def event(self, event: JobHistory) -> None:
        state = (event.event.details or {}).get("NewState", JobStateType.PENDING.value)
        text = "" if event.execution_id else _STEPS.get(state, "")
        if text and text not in self._seen:
            self.begin(text)

    def end(self, job: Job) -> None:
        self.finish(DONE if job.state.state_type == JobStateType.COMPLETED else FAILED)


def _timer(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02}m{rest:04.1f}s" if minutes else f"{rest:.1f}s"


class Events:
    """Rows of time, execution, topic and event: all that concerns executions, and errors of the job where no execution
    had one.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._has_failed = False

    def event(self, event: JobHistory) -> None:
        if self._rows and not event.execution_id and (not event.event.is_error or self._has_failed):
            return
        self.row(event)

    def row(self, event: JobHistory) -> None:
        if not self._rows:
            say(f" {'TIME':12}  {'EXEC. ID':10}  {'TOPIC':15}  EVENT ")
        self._rows += 1
        self._has_failed |= event.event.is_error
        stamp = event.time.partition("T")[2].rstrip("Z")
        whole, _, fraction = stamp.partition(".")
        first, *more = textwrap.wrap(event.event.topic, _TOPIC) or [""]
        say(f" {whole}.{fraction[:3]:0<3}  {short_id(event.execution_id):10}  {first:{_TOPIC}}  {_words(event)} ")
        for rest in more:
            say(f"{' ' * 27}{rest}")

    def end(self, job: Job) -> None:
        """Print nothing: the table needs no last line."""


class GroupedEvents(Events):
    """The table for `--group-events`: the last event of every execution, when the job has ended, and of the job
    only errors.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, JobHistory] = {}

    def event(self, event: JobHistory) -> None:
        if event.execution_id or event.event.is_error:
            self._last[event.execution_id] = event

    def end(self, job: Job) -> None:
        for event in sorted(self._last.values(), key=lambda e: e.time):
            self.row(event)


def _words(event: JobHistory) -> str:
    details = event.event.details or {}
    text = event.event.message.replace("\n", f"\n{' ' * 44}")
    if not event.event.is_error:
        return text
    hint = f"\n{' ' * 44}{painted('Hint: ', GREEN, sys.stdout)}{details['Hint']}" if details.get("Hint") else ""
    return f"{painted('Error: ', RED, sys.stdout)}{text}{hint}"


class Silence:
    """The account for `--id-only`, which prints nothing."""

    def event(self, event: JobHistory) -> None:
        """Print nothing."""

    def end(self, job: Job) -> None:
        """Print nothing."""
