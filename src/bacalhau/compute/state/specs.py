"""Large jobs that were fetched from the orchestrator, so that the parts of one job fetch it once."""

import asyncio
from collections import OrderedDict

from bacalhau.models.job.job import Job

LIMIT = 64 << 20  # bytes of all that are kept, as they were fetched; the newest is kept whatever its size


class FetchedJobs:
    """The jobs that were fetched last, by the names of their blocks. Who fetches one holds the `lock`."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._jobs: OrderedDict[tuple[str, ...], tuple[Job, int]] = OrderedDict()

    def find(self, names: tuple[str, ...]) -> Job | None:
        """Find a job among those that were fetched last."""
        found = self._jobs.get(names)
        return found[0] if found else None

    def keep(self, names: tuple[str, ...], job: Job, size: int) -> None:
        """Keep a job of so many bytes, and let old ones go."""
        self._jobs[names] = (job, size)
        while len(self._jobs) > 1 and sum(each for _, each in self._jobs.values()) > LIMIT:
            self._jobs.popitem(last=False)
