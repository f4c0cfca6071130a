"""Watchers of jobs, and the progress of executions right now. Nothing here is stored."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.wire.messages import Progress

PREPARING = frozenset({"preparing", "pulling", "staging"})  # stages before the task runs
EVERY = ""  # instead of a job's id: all of them


class Watch:
    """Remembers changes between `clear` and `wait`, so that none is missed while its owner reads the store.

    One that `collects` also keeps the executions that are written, each as it was last, until they are taken.
    """

    def __init__(self, *, collects: bool = False) -> None:
        self._collects = collects
        self._written: dict[str, Execution] = {}
        self._event = asyncio.Event()
        self._ended = asyncio.Event()
        self.final: Job | None = None
        self.has_news = True

    def wake(self) -> None:
        """Something else than the job changed, such as what it printed."""
        self._event.set()

    def fire(self, final: Job | None) -> None:
        self.has_news = True
        self._event.set()
        if final is not None:
            self.final = final
            self._ended.set()

    def note(self, execution: Execution) -> None:
        """An execution was written. Of two states of it the later revision counts, in whichever order they are told."""
        known = self._written.get(execution.id)
        if self._collects and (known is None or known.revision < execution.revision):
            self._written[execution.id] = execution
            self.fire(None)

    def take(self) -> list[Execution]:
        """Take the executions that were written since the last time."""
        written, self._written = self._written, {}
        return list(written.values())

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, seconds: float) -> bool:
        """Return True when something changed since `clear`, False after `seconds`."""
        return await _within(self._event, seconds)

    async def wait_end(self, seconds: float) -> Job | None:
        """The job as it ended since the watch began, None after `seconds`."""
        await _within(self._ended, seconds)
        return self.final


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
        return True
    except TimeoutError:
        return False


class Board:
    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._progress: dict[str, dict[str, Progress]] = {}
        self._seq: dict[str, int] = {}
        self._counter = 0

    @contextmanager
    def watch(self, job_id: str, watch: Watch | None = None) -> Iterator[Watch]:
        watch = watch or Watch()
        watches = self._watches.setdefault(job_id, set())
        watches.add(watch)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches:
                self._watches.pop(job_id, None)

    def changed(self, job_id: str, final: Job | None = None) -> None:
        """The job has new history or another state; `final`: it has ended like this."""
        for watch in self._watches.get(job_id, ()):
            watch.fire(final)
        for watch in self._watches.get(EVERY, ()):
            watch.fire(None)

    def written(self, executions: Iterable[Execution]) -> None:
        """Tell those who follow the executions of a job that these were written."""
        for execution in executions:
            for watch in self._watches.get(execution.job_id, ()):
                watch.note(execution)

    def put_progress(self, progress: Progress) -> None:
        self._counter += 1
        self._progress.setdefault(progress.job_id, {})[progress.execution_id] = progress
        self._seq[progress.job_id] = self._counter
        self.changed(progress.job_id)

    def progress(self, job_id: str) -> tuple[int, tuple[Progress, ...]]:
        """A number that changes with every report, and the latest report of each execution."""
        return self._seq.get(job_id, 0), tuple(self._progress.get(job_id, {}).values())

    def latest(self, job_id: str, execution_id: str) -> Progress | None:
        """Return the latest that a node said of an execution. None where it has said nothing yet."""
        return self._progress.get(job_id, {}).get(execution_id)

    def is_preparing(self, job_id: str, execution_id: str) -> bool:
        """Tell whether the latest that a node said of an execution is that it fetches its image or inputs."""
        told = self.latest(job_id, execution_id)
        return told is not None and told.stage in PREPARING

    def forget(self, job_id: str, execution_id: str) -> None:
        """The execution has ended."""
        reports = self._progress.get(job_id)
        if reports is not None:
            reports.pop(execution_id, None)
            if not reports:
                del self._progress[job_id]
                self._seq.pop(job_id, None)
