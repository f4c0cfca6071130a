"""Messages while a job is waited for: events, progress between them, and that the server went away."""

from bacalhau.cli.frame.report import say_warning
from bacalhau.cli.output.progress import ProgressLine
from bacalhau.cli.output.steps import Account
from bacalhau.client.waiting import PATIENCE
from bacalhau.lib.errors import Unavailable
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.wire.messages import Progress


class Teller:
    """Prints events and progress of one job. `quiet` prints nothing; no progress is printed while output is followed.
    `events` are all that were received, `wanted` is the number of executions, 0 where nobody knows it.
    """

    def __init__(self, account: Account, *, quiet: bool, follow: bool, wanted: int = 0) -> None:
        self._account = account
        self._quiet = quiet
        self._line = None if quiet or follow else ProgressLine(wanted)
        self.events: list[JobHistory] = []

    def news(self, news: JobHistory | Progress) -> None:
        if isinstance(news, JobHistory):
            self._event(news)
        elif self._line:
            self._line.progress(news)

    def _event(self, event: JobHistory) -> None:
        self.events.append(event)
        self.close()
        self._account.event(event)
        if self._line:
            self._line.event(event)

    def away(self, error: Unavailable) -> None:
        self.close()
        if not self._quiet:
            say_warning(f"{error.message}; asking again for {PATIENCE:.0f} s")

    def close(self) -> None:
        """Leave the terminal's line clean."""
        if self._line:
            self._line.close()
