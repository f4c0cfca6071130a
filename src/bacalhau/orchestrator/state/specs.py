"""Jobs that are too large to travel in a message: kept once as blocks in the content store, where nodes fetch them.

A job's blocks depend on its specification alone, not on its state, so that they have the same names after a restart and
when they are removed.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable

from bacalhau.lib.wire import encode
from bacalhau.models.job.job import Job
from bacalhau.ports.content import OwnContent

BLOCK = 262_144  # bytes; a block travels as base64 in a message of at most 1 MiB
HOLDS = 5.0  # seconds in which blocks that were seen are not looked for again
REMEMBERED = 1000  # versions of jobs whose blocks are known by name
LARGE = 40_000  # bytes of a stored job, above which it may have blocks: in a message, a byte may become six


class Specs:
    """The large jobs in the content store."""

    def __init__(self, content: OwnContent) -> None:
        self._content = content
        self._names: OrderedDict[tuple[str, int], tuple[tuple[str, ...], float]] = OrderedDict()
        self._lock = asyncio.Lock()

    def knows(self, job: Job) -> bool:
        """Tell whether a job was found to be large before."""
        return (job.id, job.version) in self._names

    async def keep(self, job: Job) -> tuple[str, ...]:
        """Keep a job as blocks, durably on return; return their names (CIDs) in order. Raises StorageFailure."""
        async with self._lock:
            key = (job.id, job.version)
            names, looked_at = self._names.get(key, ((), 0.0))
            now = time.monotonic()
            if now - looked_at > HOLDS or not names:
                if not names or await self._content.missing(names):
                    names = tuple(await self._content.keep_raw(_blocks(job)))
                self._names[key] = (names, now)
            self._names.move_to_end(key)
            while len(self._names) > REMEMBERED:
                self._names.popitem(last=False)
        return names

    async def remove(self, jobs: Iterable[Job]) -> None:
        """Remove the blocks of jobs; those that have none are fine. Raises StorageFailure."""
        for job in jobs:
            self._names.pop((job.id, job.version), None)
            await self._content.remove_raw(_blocks(job))


def _blocks(job: Job) -> list[bytes]:
    """Cut a job into blocks. Each begins with a line of its own job and version, so that no two jobs share one."""
    line = f"{job.id} {job.version}\n".encode()
    body = encode(job.specification)
    return [line + body[start : start + BLOCK] for start in range(0, len(body), BLOCK)]
