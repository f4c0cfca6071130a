"""Which jobs to look at next: in memory, because at start every unfinished job is looked at again anyway.

At most one look per job is in flight; asking several times before it starts is one look.
"""

import heapq
from typing import NamedTuple

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import now_ns
from bacalhau.models.job import Job


class Blocked(NamedTuple):
    """A job that waits for capacity, in the order it will be tried."""

    priority: int
    create_time: int
    job_id: str


class EvaluationQueue:
    def __init__(self) -> None:
        self._ready: dict[str, None] = {}
        self._busy: set[str] = set()
        self._later: list[tuple[int, str]] = []
        self._blocked: dict[str, Blocked] = {}
        self._signal = Signal()

    def add(self, job_id: str, not_before: int = 0) -> None:
        """Look at the job now, or at `not_before` (Unix ns)."""
        if not_before:
            heapq.heappush(self._later, (not_before, job_id))
        else:
            self._ready[job_id] = None
        self._signal.fire()

    async def take(self, limit: int) -> list[str]:
        """Up to `limit` jobs; waits for the first. Give each back with `done`."""
        while True:
            now = now_ns()
            while self._later and self._later[0][0] <= now:
                self._ready[heapq.heappop(self._later)[1]] = None
            taken = [job_id for job_id in self._ready if job_id not in self._busy][:limit]
            if taken:
                for job_id in taken:
                    del self._ready[job_id]
                    self._busy.add(job_id)
                return taken
            await self._signal.wait(min(60.0, max(0.001, (self._later[0][0] - now) / 1e9)) if self._later else 60.0)

    def done(self, job_id: str) -> None:
        self._busy.discard(job_id)
        if job_id in self._ready:
            self._signal.fire()

    def block(self, job: Job) -> None:
        """The job waits until `wake` reaches it."""
        self._blocked[job.id] = Blocked(-job.priority, job.create_time, job.id)

    def unblock(self, job_id: str) -> None:
        self._blocked.pop(job_id, None)

    def wake(self, limit: int) -> None:
        """Capacity was freed or a node joined: look again at the first waiting jobs."""
        first = heapq.nsmallest(limit, self._blocked.values()) if self._blocked else []
        for blocked in first:
            del self._blocked[blocked.job_id]
            self.add(blocked.job_id)

    def position(self, job_id: str) -> int:
        """1 for the job that is tried next, 0 for one that does not wait."""
        mine = self._blocked.get(job_id)
        return 1 + sum(other < mine for other in self._blocked.values()) if mine else 0

    @property
    def waiting(self) -> int:
        return len(self._blocked)
