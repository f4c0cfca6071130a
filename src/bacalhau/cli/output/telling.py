"""Messages while a job is waited for: events, progress between them, and that the server went away."""

import sys
from collections.abc import Callable
from typing import Protocol

from bacalhau.cli.frame.report import say_warning
from bacalhau.cli.output.block import is_live
from bacalhau.cli.output.live import LiveProgress
from bacalhau.cli.output.progress import ProgressLines
from bacalhau.cli.output.steps import Account, Silence
from bacalhau.client.waiting import PATIENCE
from bacalhau.lib.errors import Unavailable
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.wire.messages import Progress


class Line(Protocol):
    """The interface of both kinds of progress: one that is drawn again, and lines that stay."""

    def event(self, event: JobHistory) -> None: ...

    def progress(self, step: Progress) -> None: ...

    def hide(self) -> None: ...

    def close(self) -> None: ...


class Teller:
    """Prints events and progress of one job. `quiet` prints nothing; where output is followed, progress is drawn on a
    terminal only. `events` are all that were received, `wanted` is the number of executions, 0 where nobody knows it.
    """

    def __init__(self, account: Account, job_id: str, *, quiet: bool, follow: bool, wanted: int = 0) -> None:
        self._account = account
        self._quiet = quiet
        self._live = LiveProgress(job_id, wanted) if is_live(sys.stderr) and not quiet else None
        self._line: Line | None = self._live or (None if quiet or follow else ProgressLines(wanted))
        self.events: list[JobHistory] = []

    def news(self, news: JobHistory | Progress) -> None:
        if isinstance(news, JobHistory):
            self._event(news)
        elif self._line:
            self._line.progress(news)

    def _event(self, event: JobHistory) -> None:
        self.events.append(event)
        if not isinstance(self._account, Silence):
            self._hide()
        self._account.event(event)
        if self._line:
            self._line.event(event)

    def away(self, error: Unavailable) -> None:
        self._hide()
        if not self._quiet:
            say_warning(f"{error.message}; asking again for {PATIENCE:.0f} s")

    def beside(self, write: Callable[[], bool]) -> None:
        """Let others write, who return whether their last line has ended: the block waits below it, or until then."""
        self._hide()
        has_ended = write()
        if self._live:
            self._live.allow(has_ended)

    def _hide(self) -> None:
        if self._line:
            self._line.hide()

    def close(self) -> None:
        """Leave the terminal clean."""
        if self._line:
            self._line.close()
