"""Who wants to know when a job changes, and where its executions are right now. Nothing here is stored."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from bacalhau.models.messages import Progress


class Watch:
    """Remembers changes between `clear` and `wait`, so that none is missed while its owner reads the store."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._end = asyncio.Event()

    def fire(self, is_done: bool) -> None:
        self._event.set()
        if is_done:
            self._end.set()

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, seconds: float) -> bool:
        """True when the job changed since `clear`, False after `seconds`."""
        return await _within(self._event, seconds)

    async def wait_end(self, seconds: float) -> bool:
        """True when the job ended since the watch began, False after `seconds`."""
        return await _within(self._end, seconds)


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
    def watch(self, job_id: str) -> Iterator[Watch]:
        watch = Watch()
        watches = self._watches.setdefault(job_id, set())
        watches.add(watch)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches:
                self._watches.pop(job_id, None)

    def changed(self, job_id: str, is_done: bool = False) -> None:
        """The job has new history or another state; `is_done`: it has ended."""
        for watch in self._watches.get(job_id, ()):
            watch.fire(is_done)

    def put_progress(self, progress: Progress) -> None:
        self._counter += 1
        self._progress.setdefault(progress.job_id, {})[progress.execution_id] = progress
        self._seq[progress.job_id] = self._counter
        self.changed(progress.job_id)

    def progress(self, job_id: str) -> tuple[int, tuple[Progress, ...]]:
        """A number that changes with every report, and the latest report of each execution."""
        return self._seq.get(job_id, 0), tuple(self._progress.get(job_id, {}).values())

    def forget(self, job_id: str, execution_id: str) -> None:
        """The execution has ended."""
        reports = self._progress.get(job_id)
        if reports is not None:
            reports.pop(execution_id, None)
            if not reports:
                del self._progress[job_id]
                self._seq.pop(job_id, None)
