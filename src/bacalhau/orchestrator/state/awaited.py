"""Jobs that wait for the results of other jobs, or whose wait came to nothing. Kept in memory: a new process looks
anew when it evaluates them.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Wait(NamedTuple):
    """The wait of one version of a job for the job `target`.

    `text` says what it waits for; where `is_over`, why nothing can come of it, with a `hint`.
    """

    version: int
    text: str
    target: str = ""
    hint: str = ""
    is_over: bool = False


class Awaited:
    def __init__(self) -> None:
        self._waits: dict[str, Wait] = {}
        self._readers: dict[str, set[str]] = {}

    @property
    def count(self) -> int:
        """The number of jobs that wait."""
        return len(self._waits)

    def find(self, job_id: str, version: int) -> Wait | None:
        """Find what a version of a job waits for."""
        found = self._waits.get(job_id)
        return found if found is not None and found.version == version else None

    def put(self, job_id: str, wait: Wait) -> None:
        """Note what a job waits for, in place of what was noted before."""
        self.forget(job_id)
        self._waits[job_id] = wait
        if wait.target:
            self._readers.setdefault(wait.target, set()).add(job_id)

    def forget(self, job_id: str) -> None:
        """Forget what a job waits for."""
        wait = self._waits.pop(job_id, None)
        if wait is not None and wait.target:
            readers = self._readers[wait.target]
            readers.discard(job_id)
            if not readers:
                del self._readers[wait.target]

    def end(self, target: str) -> Sequence[str]:
        """Forget the waits for a job that has ended or is gone. Return the jobs that waited for it."""
        waiting = sorted(self._readers.get(target, ()))
        for job_id in waiting:
            self.forget(job_id)
        return waiting
