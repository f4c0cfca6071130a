"""Which jobs to look at next: in memory, because at start every unfinished job is looked at again anyway.

At most one look per job is in flight; asking several times before it starts is one look. Jobs of one shape are the same
to every node, so of those that wait only the first few of each shape are tried when something becomes free.
"""

import heapq
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import now_ns
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.models.job.resources import Resources
from bacalhau.orchestrator.scheduling.view import Claim, queue_order

WAKE_AT_ONCE = 8  # waiting jobs of a shape looked at when capacity is freed; each look that places a job wakes the next
FEW_TIMERS = 1000


class Blocked(NamedTuple):
    """A job that waits for capacity, in the order it will be tried. `since` is Unix ns."""

    order: tuple[int, int, str]
    since: int
    need: Resources
    shape: Hashable


class EvaluationQueue:
    """`claim` is the node that is kept for the job which has waited too long."""

    def __init__(self) -> None:
        self.claim: Claim | None = None
        self._ready: dict[str, None] = {}
        self._busy: set[str] = set()
        self._later: list[tuple[int, str]] = []  # a heap; with what is no longer among the timers
        self._timers: dict[str, set[int]] = {}
        self._timed = 0
        self._blocked: dict[str, Blocked] = {}
        self._lines: dict[Hashable, list[tuple[tuple[int, int, str], str]]] = {}
        self._everywhere: set[str] = set()
        self._standing_back: set[str] = set()
        self._signal = Signal()

    def add(self, job_id: str, not_before: int = 0) -> None:
        """Look at the job now, or at `not_before` (Unix ns)."""
        if not not_before:
            self._ready[job_id] = None
        elif not_before not in (times := self._timers.setdefault(job_id, set())):
            times.add(not_before)
            self._timed += 1
            heapq.heappush(self._later, (not_before, job_id))
        self._signal.fire()

    async def take(self, limit: int) -> list[str]:
        """Up to `limit` jobs; waits for the first. Give each back with `done`."""
        while True:
            now = now_ns()
            while self._later and self._later[0][0] <= now:
                when, job_id = heapq.heappop(self._later)
                if when in self._timers.get(job_id, ()):
                    self._ready[job_id] = None
                    self._timed -= 1
                    self._timers[job_id].remove(when)
                    if not self._timers[job_id]:
                        del self._timers[job_id]
            taken = list(islice((job_id for job_id in self._ready if job_id not in self._busy), limit))
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

    @contextmanager
    def evaluating(self, job_id: str) -> Iterator[bool]:
        """A look outside the queue: False when one is under way, else none begins while the block runs."""
        if job_id in self._busy:
            yield False
            return
        self._busy.add(job_id)
        try:
            yield True
        finally:
            self.done(job_id)

    def block(self, job: Job, need: Resources, shape: Hashable, now: int) -> Blocked:
        """The job waits until `wake` reaches it."""
        order, known = queue_order(job), self._blocked.get(job.id)
        if known is not None and (known.order, known.shape) == (order, shape):
            return known
        blocked = self._blocked[job.id] = Blocked(order, now if known is None else known.since, need, shape)
        heapq.heappush(self._lines.setdefault(shape, []), (order, job.id))
        return blocked

    def stand_back(self, job_id: str) -> None:
        """The job waits for a node to join, not for room: whoever comes after it need not wait behind it.

        Until nodes change.
        """
        if job_id not in self._standing_back:
            self._standing_back.add(job_id)
            self.wake(lambda _: True)

    def unblock(self, job_id: str) -> None:
        self._blocked.pop(job_id, None)
        self._standing_back.discard(job_id)
        if self.claim is not None and self.claim.job_id == job_id:
            self.claim = None
            self.wake(lambda _: True)  # what stood back may have the node now

    def wake(self, fits: Callable[[Resources], bool]) -> None:
        """Capacity was freed: look again at the first waiting jobs of each shape that `fits` somewhere."""
        for shape in list(self._lines):
            first = self._first(shape)
            if first is not None and fits(first.need):
                self.wake_shape(shape, WAKE_AT_ONCE)

    def wake_shape(self, shape: Hashable, limit: int) -> None:
        """The first jobs of a line that are not about to be looked at anyway."""
        for order, job_id in heapq.nsmallest(limit, self._lines.get(shape, ())):
            if self._is_in_line(order, job_id, shape):
                self.add(job_id)

    def wake_all(self) -> None:
        """Nodes changed: everything that waits is looked at, and all jobs that want every matching node."""
        self._standing_back.clear()
        for job_id in (*self._blocked, *self._everywhere):
            self.add(job_id)

    def note(self, job: Job) -> None:
        """A job was written: what wants every matching node is looked at when nodes change, until it ends; then nothing
        is timed any more.
        """
        if job.is_done:
            self._forget_timers(job.id)
        if job.type in EVERYWHERE and not job.is_done:
            self._everywhere.add(job.id)
        else:
            self._everywhere.discard(job.id)

    def _forget_timers(self, job_id: str) -> None:
        self._timed -= len(self._timers.pop(job_id, ()))
        if len(self._later) > 2 * self._timed + FEW_TIMERS:
            self._later = [(when, name) for name, times in self._timers.items() for when in times]
            heapq.heapify(self._later)

    def position(self, job_id: str) -> int:
        """1 for the job that is tried next, 0 for one that does not wait for room."""
        mine = self._blocked.get(job_id)
        if mine is None or job_id in self._standing_back:
            return 0
        return 1 + sum(
            other.order < mine.order for name, other in self._blocked.items() if name not in self._standing_back
        )

    def is_first(self, job_id: str) -> bool:
        """Nobody who waits for room comes before the job."""
        mine = self._blocked.get(job_id)
        heads = (self._first(shape) for shape in list(self._lines))
        return mine is not None and all(
            head is None or mine.order <= head.order or head.order[2] in self._standing_back for head in heads
        )

    def _first(self, shape: Hashable) -> Blocked | None:
        line = self._lines[shape]
        while line and not self._is_in_line(*line[0], shape):
            heapq.heappop(line)
        if not line:
            del self._lines[shape]
            return None
        return self._blocked[line[0][1]]

    def _is_in_line(self, order: tuple[int, int, str], job_id: str, shape: Hashable) -> bool:
        blocked = self._blocked.get(job_id)
        return blocked is not None and blocked.order == order and blocked.shape == shape

    @property
    def is_quiet(self) -> bool:
        """Nothing is about to be looked at, and nothing waits for room."""
        return not self._ready and len(self._blocked) == len(self._standing_back)

    @property
    def waiting(self) -> int:
        return len(self._blocked)
