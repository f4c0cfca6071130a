"""The jobs to evaluate next, in memory: at start every unfinished job is evaluated again anyway.

A job is evaluated for one of two reasons. Somebody asked for it (`add`): it has changed, or its time has come. Or it
stands in the waiting line (`line.py`) and some node has room for it (`next_turn`). Turns go first, so that nobody who
comes later takes the room of those that wait.

At most one evaluation per job is in flight; asking several times before it starts is one evaluation.
"""

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import now_ns
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.orchestrator.scheduling.candidates import Candidates, News
from bacalhau.orchestrator.scheduling.shares import Shares
from bacalhau.orchestrator.scheduling.view import SECOND, Claim
from bacalhau.orchestrator.state.line import Standing, Turn, Waiting, WaitingLine

FEW_TIMERS = 1000
PATIENCE = 30 * SECOND  # the job that comes first and waited so long has a node kept for it


class EvaluationQueue:
    """`ageing_ns`: a waiting job of lower priority rises by one after each such time; 0 for never.

    `nominee` is the id of the job that a node shall be kept for when it is evaluated next, "" for nobody.
    """

    def __init__(self, candidates: Candidates, shares: Shares, ageing_ns: int = 0) -> None:
        self.nominee = ""
        self._line = WaitingLine(candidates, shares, ageing_ns)
        self._ready: dict[str, None] = {}
        self._busy: set[str] = set()
        self._left: dict[str, Waiting] = {}  # those of the busy jobs that left the line
        self._later: list[tuple[int, str]] = []  # a heap; with what is no longer among the timers
        self._timers: dict[str, set[int]] = {}
        self._timed = 0
        self._everywhere: set[str] = set()
        self._is_held_up = False  # the next turn is that of a job whose evaluation is under way
        self._signal = Signal()
        candidates.on_news = self._on_news
        shares.on_change = self._line.rerank

    def add(self, job_id: str, not_before: int = 0) -> None:
        """Evaluate the job now, or at `not_before` (Unix ns)."""
        if not not_before:
            self._ready[job_id] = None
        elif not_before not in (times := self._timers.setdefault(job_id, set())):
            times.add(not_before)
            self._timed += 1
            heapq.heappush(self._later, (not_before, job_id))
        self._signal.fire()

    def is_due(self, now: int) -> bool:
        """Tell whether some job is to be evaluated now."""
        self._ring_timers(now)
        self._nominate(now)
        if self._is_held_up:
            return False
        return self._line.has_hope or any(job_id not in self._busy for job_id in self._ready)

    async def wait(self) -> None:
        """Return when some job is to be evaluated."""
        while not self.is_due(now := now_ns()):
            await self._signal.wait(min(60.0, max(0.001, (self._next_time() - now) / SECOND)))

    def asked(self, limit: int) -> list[str]:
        """Return up to `limit` jobs that somebody asked for, those that wait longest first."""
        return list(islice((job_id for job_id in self._ready if job_id not in self._busy), limit))

    def take(self, job_id: str) -> Turn | None:
        """Take a job that somebody asked for; give it back with `done`. None when that is not so any more."""
        if job_id not in self._ready or job_id in self._busy:
            return None
        del self._ready[job_id]
        self._busy.add(job_id)
        return Turn(job_id, is_in_line=False)

    def drop(self, job_id: str) -> None:
        """Nobody needs an evaluation of the job any more."""
        self._ready.pop(job_id, None)

    def next_turn(self, now: int) -> Turn | None:
        """Take the first waiting job for which some node has room; give it back with `done`.

        None when there is none now. While that job is being evaluated for another reason, nobody overtakes it:
        `is_held_up` is then true.
        """
        turn = self._line.next(now)
        self._is_held_up = turn is not None and turn.job_id in self._busy
        if turn is None or self._is_held_up:
            return None
        self._busy.add(turn.job_id)
        self._ready.pop(turn.job_id, None)
        return turn

    @property
    def is_held_up(self) -> bool:
        """Tell whether the next turn is that of a job whose evaluation is under way."""
        return self._is_held_up

    def done(self, job_id: str) -> None:
        """The evaluation of a job is over."""
        self._busy.discard(job_id)
        self._left.pop(job_id, None)
        self._is_held_up = False
        self._signal.fire()

    @contextmanager
    def evaluating(self, job_id: str) -> Iterator[bool]:
        """Evaluate a job outside the queue: False when that is under way, else none begins while the block runs."""
        if job_id in self._busy:
            yield False
            return
        self._busy.add(job_id)
        try:
            yield True
        finally:
            self.done(job_id)

    def keep_waiting(self, waiting: Waiting, now: int, *, has_started: bool = False) -> None:
        """The job waits for room: it is evaluated when a node has some and its turn comes.

        Unless it `has_started` something, a job that waited already has waited since then.
        """
        known = None if has_started else self._line.find(waiting.job.id)
        follower = self._line.put(waiting._replace(since=known.since) if known else waiting, now)
        if follower:
            self.add(follower)
        self._signal.fire()

    def exhaust(self, job_id: str) -> None:
        """No node takes this job now, nor others that fit in the same places."""
        self._line.exhaust(job_id)

    def leave(self, job_id: str) -> None:
        """The job does not wait for room any more."""
        if self.claim is not None and self.claim.job_id == job_id:
            self.keep(None)
        if self.nominee == job_id:
            self.nominee = ""
        waited = self._line.find(job_id)
        if waited is not None and job_id in self._busy:
            self._left[job_id] = waited
        follower = self._line.leave(job_id)
        if follower:
            self.add(follower)

    def come_back(self, job_id: str, now: int) -> None:
        """The plan with which the job left the line during this evaluation failed: it has its old place again."""
        waited = self._left.pop(job_id, None)
        if waited is not None:
            self._line.put(waited, now)

    def park(self, job_id: str) -> None:
        """Park a job that no known node can hold. Parked jobs are in nobody's way; the next change of a node un-parks
        them.
        """
        self._line.park(job_id)

    @property
    def claim(self) -> Claim | None:
        """The node that is kept for the job which has waited too long."""
        return self._line.claim

    def keep(self, claim: Claim | None) -> None:
        """Keep a node for a job, or none any more."""
        self._line.keep(claim)
        self._signal.fire()

    def binding_claim(self, job: Job) -> Claim | None:
        """Return the claim that the job must respect, None where there is none."""
        return self._line.claim if self._line.must_mind(job) else None

    def note(self, job: Job) -> None:
        """A job was written: what wants every matching node is evaluated when nodes change, until it ends; then it does
        not wait, and nothing is timed any more.
        """
        if job.is_done:
            self._forget_timers(job.id)
            self.leave(job.id)
        if job.type in EVERYWHERE and not job.is_done:
            self._everywhere.add(job.id)
        else:
            self._everywhere.discard(job.id)

    def foremost(self, limit: int) -> list[Waiting]:
        """List up to `limit` jobs that come first of those that wait for room."""
        return self._line.foremost(limit)

    def standing(self, job_id: str) -> Standing | None:
        """Return the job's place among those that wait for room; None for one that does not."""
        return self._line.standing(job_id)

    def position(self, job_id: str) -> int:
        """Return 1 for the job that is tried next, 0 for one that does not wait for room."""
        standing = self._line.standing(job_id)
        return standing.position if standing else 0

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is about to be evaluated: what waits then has no use for any room there is."""
        return not self._ready and not self._line.has_hope

    def ages(self) -> tuple[list[int], list[int]]:
        """List since when jobs wait for room, and since when those that are parked do, in Unix ns."""
        return self._line.ages()

    @property
    def ready(self) -> int:
        """The number of jobs that somebody asked an evaluation for."""
        return len(self._ready)

    @property
    def waiting(self) -> int:
        """The number of jobs that wait for room."""
        return len(self._line)

    def _on_news(self, node_id: str, news: News) -> None:
        """A node has room, may take other jobs than before, or takes none for now."""
        if news != News.SHUT:
            self._line.offer(node_id)
        if news == News.OFFER:
            for job_id in (*self._line.doubt(), *self._everywhere):
                self._ready[job_id] = None
        if news != News.ROOM and self.claim is not None and self.claim.node_id == node_id:
            self.keep(None)
        self._signal.fire()

    def _ring_timers(self, now: int) -> None:
        while self._later and self._later[0][0] <= now:
            when, job_id = heapq.heappop(self._later)
            if when in self._timers.get(job_id, ()):
                self._ready[job_id] = None
                self._timed -= 1
                self._timers[job_id].remove(when)
                if not self._timers[job_id]:
                    del self._timers[job_id]

    def _nominate(self, now: int) -> None:
        """Have the job that comes first and has waited for long evaluated once more, to have a node kept or to be
        parked.
        """
        front = self._claimant()
        if front is not None and now >= front.since + PATIENCE and self.nominee != front.job.id:
            self.nominee = front.job.id
            self._ready[front.job.id] = None

    def _claimant(self) -> Waiting | None:
        """The job that a node is to be kept for when it has waited long enough."""
        front = self._line.front()
        if front is None or (self.claim is not None and not self._is_more_urgent(front)):
            return None
        return front

    def _is_more_urgent(self, front: Waiting) -> bool:
        return self.claim is not None and self.claim.job_id != front.job.id and not self._line.must_mind(front.job)

    def _next_time(self) -> int:
        times = [self._later[0][0]] if self._later else []
        if (front := self._claimant()) is not None and front.job.id != self.nominee:
            times.append(front.since + PATIENCE)
        return min(times, default=now_ns() + 60 * SECOND)

    def _forget_timers(self, job_id: str) -> None:
        self._timed -= len(self._timers.pop(job_id, ()))
        if len(self._later) > 2 * self._timed + FEW_TIMERS:
            self._later = [(when, name) for name, times in self._timers.items() for when in times]
            heapq.heapify(self._later)
