"""Events as they come, of one job or of all: page after page from the store, so that a slow reader costs no memory."""

from typing import NamedTuple

from bacalhau.models.execution.event import JobHistory
from bacalhau.models.job.job import Job
from bacalhau.models.wire.messages import Progress
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.store import HistoryCursor, HistoryQuery

PAGE = 200


class Page(NamedTuple):
    """`end` is the job as it ended, when nothing more can come."""

    events: list[tuple[str, JobHistory]]
    is_full: bool
    progress: tuple[Progress, ...] = ()
    end: Job | None = None


class JobReader:
    """Reads on after the event with number `seq`, over all versions of a job. An event's id is its number."""

    def __init__(self, orch: Orchestrator, wanted: HistoryQuery) -> None:
        self._orch = orch
        self._wanted = wanted._replace(limit=PAGE, job_version=-1)
        self._seen = 0

    @property
    def place(self) -> str:
        return str(self._wanted.after_seq)

    async def next_page(self) -> Page:
        """Read the next events. Raises NotFound when the job has been forgotten."""
        # The job first: then its last events are among those that are read after it.
        job = await self._orch.store.find_job(self._wanted.job_id)
        items = await self._orch.store.list_history(self._wanted)
        if items:
            self._wanted = self._wanted._replace(after_seq=items[-1].seq_num)
        is_full = len(items) == PAGE
        progress = () if is_full else self._news()
        return Page(
            [(str(item.seq_num), item) for item in items],
            is_full,
            progress,
            job if job.is_done and not is_full else None,
        )

    def _news(self) -> tuple[Progress, ...]:
        seq, progress = self._orch.board.progress(self._wanted.job_id)
        is_news, self._seen = seq != self._seen, seq
        return progress if is_news else ()


class EveryReader:
    """Reads on after a place in the events of all jobs, or of those in a namespace; `level` as in a HistoryQuery."""

    def __init__(self, orch: Orchestrator, after: HistoryCursor, namespace: str, level: str) -> None:
        self._orch = orch
        self._after = after
        self._namespace = "" if namespace == "*" else namespace
        self._level = level

    @property
    def place(self) -> str:
        return show_cursor(self._after)

    async def next_page(self) -> Page:
        found = await self._orch.store.list_events(self._after, PAGE)
        if found:
            self._after = found[-1].place
        events = [
            (show_cursor(place), event)
            for place, namespace, event in found
            if self._namespace in ("", namespace) and self._level in ("", event.type)
        ]
        return Page(events, len(found) == PAGE)


def show_cursor(place: HistoryCursor) -> str:
    return "-".join(map(str, place))


def read_cursor(text: str) -> HistoryCursor | None:
    """The inverse; None when it is none."""
    parts = text.split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        return None
    return HistoryCursor(*map(int, parts))
