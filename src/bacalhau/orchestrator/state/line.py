"""The waiting line: jobs that wait for room, and which of them comes next when a node has some.

Jobs of one namespace that fit in the same places stand in one `_Line`. Each line remembers its *hopes*: nodes that may
have room for its first job. A node becomes a hope when it says that it has room, and stops being one when the first job
does not fit there. So a job is evaluated only when there is a place for it, and no place is forgotten.

The order of all jobs: the higher level first (the priority, raised with the time of waiting), then the namespace with
the smaller share for its weight, then the job with fewer running executions, then the older job. Nothing here waits,
reads a clock or chooses by chance: the same calls lead to the same answers.
"""

import heapq
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sortedcontainers import SortedList

from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.place import NO_BARS, Bars, Fit, Matching
from bacalhau.orchestrator.scheduling.shares import Shares
from bacalhau.orchestrator.scheduling.view import Claim

MANY = 1_000_000  # executions: an upper bound for jobs that need nothing
Rank = tuple[int, int, str]
"""The order within a level and a namespace: executions that run, time of submission (Unix ns), job id."""


class Waiting(NamedTuple):
    """A job that waits for room.

    `key`: jobs with the same one fit in the same places. `since` (Unix ns): it has waited, or started nothing, since
    then. `only`: nodes that alone can end the wait; None when any can.
    """

    job: Job
    need: Resources
    key: Hashable
    since: int
    bars: Bars = NO_BARS
    only: frozenset[str] | None = None


class Turn(NamedTuple):
    """A job that may start executions now; `most`: how many, None for as many as fit.

    `is_in_line`: it is its turn among those that wait, because some node has room for it.
    """

    job_id: str
    most: int | None = None
    is_in_line: bool = True


class Standing(NamedTuple):
    """A job's place in the order, 1 for the next one, and what it follows from."""

    position: int
    level: int
    share: float
    weight: float


@dataclass(slots=True)
class _Line:
    key: tuple[str, Hashable]
    levels: dict[int, SortedList] = field(default_factory=dict)
    hopes: dict[str, None] = field(default_factory=dict)
    is_in_doubt: bool = False

    def put(self, level: int, rank: Rank) -> None:
        self.levels.setdefault(level, SortedList()).add(rank)

    def remove(self, level: int, rank: Rank) -> None:
        ranks = self.levels[level]
        ranks.remove(rank)
        if not ranks:
            del self.levels[level]

    def first(self, cap: int) -> tuple[int, Rank]:
        """Return the level, negative, and the rank of the job that comes first."""
        return min((-min(level, cap), ranks[0]) for level, ranks in self.levels.items())

    def __len__(self) -> int:
        return sum(map(len, self.levels.values()))


@dataclass(slots=True)
class _Entry:
    waiting: Waiting
    line: _Line
    level: int
    rank: Rank
    is_parked: bool = False
    rise: int = 0  # Unix ns of the next one; 0 where jobs do not rise


class WaitingLine:
    """`ageing_ns`: a job of lower priority rises by one after each such time of waiting; 0 for never.

    It rises up to the highest priority among those that wait, not above: among equals the shares decide. `claim` is the
    node that is kept for the job which waited too long.
    """

    def __init__(self, candidates: Candidates, shares: Shares, ageing_ns: int = 0) -> None:
        self.claim: Claim | None = None
        self._candidates = candidates
        self._shares = shares
        self._ageing_ns = ageing_ns
        self._entries: dict[str, _Entry] = {}
        self._lines: dict[tuple[str, Hashable], _Line] = {}
        self._groups: dict[tuple[int, str], SortedList] = {}  # by level and namespace, without those that are parked
        self._parked: set[str] = set()
        self._priorities: Counter[int] = Counter()
        self._rises: SortedList = SortedList()
        self._offered: dict[str, None] = {}
        self._hopeful: dict[tuple[str, Hashable], _Line] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._entries

    def find(self, job_id: str) -> Waiting | None:
        """Return what a job waits for; None for one that does not."""
        entry = self._entries.get(job_id)
        return entry.waiting if entry else None

    def ages(self) -> tuple[list[int], list[int]]:
        """List since when jobs wait for room, and since when those that are parked do, in Unix ns."""
        waiting: list[int] = []
        parked: list[int] = []
        for entry in self._entries.values():
            (parked if entry.is_parked else waiting).append(entry.waiting.since)
        return waiting, parked

    @property
    def has_hope(self) -> bool:
        """Tell whether some node may have room for some job."""
        return bool(self._entries) and bool(self._offered or self._hopeful)

    def put(self, waiting: Waiting, now: int) -> str:
        """Let a job wait, or note what it waits for after it was evaluated again. Return the job that must be evaluated
        too, "" for none.
        """
        job = waiting.job
        before = self._take_out(job.id)
        key = (job.namespace, waiting.key)
        line = self._lines.setdefault(key, _Line(key))
        line.is_in_doubt = False
        if before is not None and before.line is not line:
            self._give_hopes(line, before.line.hopes)
        rank = (self._shares.executions(job.id), job.submitted, job.id)
        entry = _Entry(waiting, line, self._level_at(waiting, now), rank, before is not None and before.is_parked)
        self._enter(entry)
        self._plan_rise(entry, now)
        return "" if before is None or before.line is line else self._find_doubtful(before.line)

    def leave(self, job_id: str) -> str:
        """Take a job out of the line. Return the job that must be evaluated in its place, "" for none."""
        entry = self._take_out(job_id)
        self._parked.discard(job_id)
        return "" if entry is None else self._find_doubtful(entry.line)

    def _find_doubtful(self, line: _Line) -> str:
        """Find the first job of a line whose last first one turned out to wait for something else."""
        return line.first(self._cap())[1][2] if line.is_in_doubt and line.levels else ""

    def park(self, job_id: str) -> None:
        """Take a job that no known node can hold out of everybody's way; it waits all the same."""
        entry = self._entries.get(job_id)
        if entry is not None and not entry.is_parked:
            self._ungroup(entry)
            entry.is_parked = True
            self._parked.add(job_id)

    def doubt(self) -> list[str]:
        """Nodes have changed: un-park every job. Return the first job of each line, to be evaluated again.

        Where it turns out that this one does not wait any more, `leave` names the next one; where it waits for
        something else, `put` does.
        """
        for job_id in self._parked:
            entry = self._entries[job_id]
            entry.is_parked = False
            self._group(entry)
        self._parked.clear()
        cap = self._cap()
        for line in self._lines.values():
            line.is_in_doubt = True
        return [line.first(cap)[1][2] for line in self._lines.values()]

    def offer(self, node_id: str) -> None:
        """A node has room that it did not have."""
        self._offered[node_id] = None

    def keep(self, claim: Claim | None) -> None:
        """Keep a node for a job, or none any more: then others may have its room."""
        before, self.claim = self.claim, claim
        if before is not None:
            self.offer(before.node_id)

    def must_mind(self, job: Job) -> bool:
        """Tell whether a job must leave the claimed node alone, being no more urgent than the claimant."""
        if self.claim is None or self.claim.job_id == job.id:
            return False
        claimant, mine, cap = self._entries.get(self.claim.job_id), self._entries.get(job.id), self._cap()
        level = mine.level if mine else job.priority
        return claimant is not None and min(level, cap) <= min(claimant.level, cap)

    def next(self, now: int) -> Turn | None:
        """Find the first job in the order for which some node has room; None when there is no such job."""
        self._raise_levels(now)
        is_kept_room = self.claim is not None and self.claim.node_id in self._offered
        self._spread_offers()
        found = list(self._heads())
        if is_kept_room and self.claim is not None and (claimant := self._entries.get(self.claim.job_id)):
            found.append((self._order(claimant.level, claimant.rank, claimant.line), {self.claim.node_id: None}))
        heads = [(order, number, hopes) for number, (order, hopes) in enumerate(found)]  # the claimant may be in twice
        heapq.heapify(heads)
        while heads:
            order, _, hopes = heapq.heappop(heads)
            entry = self._entries[order[-1]]
            if self._fits_hope(entry.waiting, hopes):
                return Turn(entry.waiting.job.id, self._most(entry))
            if entry.line.hopes is hopes:
                self._hopeful.pop(entry.line.key, None)
        return None

    def exhaust(self, job_id: str) -> None:
        """No node takes the first job of this job's line now: nobody in it need be tried until one has more room."""
        entry = self._entries.get(job_id)
        if entry is not None:
            entry.line.hopes.clear()
            self._hopeful.pop(entry.line.key, None)

    def rerank(self, job_id: str) -> None:
        """Put a job in its new place after executions of it began or ended."""
        entry = self._entries.get(job_id)
        if entry is not None:
            self._withdraw(entry)
            entry.rank = (self._shares.executions(job_id), *entry.rank[1:])
            self._enter(entry)

    def front(self) -> Waiting | None:
        """Return the job that comes first of all, whether a node has room for it or not."""
        cap = self._cap()
        firsts = (
            (-min(level, cap), self._shares.rank(namespace), *ranks[0])
            for (level, namespace), ranks in self._groups.items()
        )
        first = min(firsts, default=None)
        return None if first is None else self._entries[first[-1]].waiting

    def foremost(self, limit: int) -> list[Waiting]:
        """List up to `limit` jobs that come first of all, in their order, whether a node has room for them or not."""
        cap = self._cap()
        firsts = (
            (-min(level, cap), self._shares.rank(namespace), *rank)
            for (level, namespace), ranks in self._groups.items()
            for rank in ranks[:limit]
        )
        return [self._entries[order[-1]].waiting for order in heapq.nsmallest(limit, firsts)]

    def standing(self, job_id: str) -> Standing | None:
        """Return a job's place; None for one that does not wait, or is parked."""
        mine = self._entries.get(job_id)
        if mine is None or mine.is_parked:
            return None
        cap, namespace = self._cap(), mine.waiting.job.namespace
        level, share = min(mine.level, cap), self._shares.rank(namespace)
        ahead = 0
        for (other_level, other), ranks in self._groups.items():
            order = (-min(other_level, cap), self._shares.rank(other))
            if order < (-level, share):
                ahead += len(ranks)
            elif order == (-level, share):
                ahead += ranks.bisect_left(mine.rank)
        return Standing(ahead + 1, level, self._shares.dominant(namespace), self._shares.weight(namespace))

    def _heads(self) -> Iterator[tuple[tuple[int, float, int, int, str], dict[str, None]]]:
        cap = self._cap()
        for line in self._hopeful.values():
            level, rank = line.first(cap)
            yield (level, self._shares.rank(line.key[0]), *rank), line.hopes

    def _order(self, level: int, rank: Rank, line: _Line) -> tuple[int, float, int, int, str]:
        return (-min(level, self._cap()), self._shares.rank(line.key[0]), *rank)

    def _fits_hope(self, waiting: Waiting, hopes: dict[str, None]) -> bool:
        """Drops the hopes that are none."""
        for node_id in list(hopes):
            if self._fits(waiting, node_id):
                return True
            del hopes[node_id]
        return False

    def _fits(self, waiting: Waiting, node_id: str) -> bool:
        candidate = self._candidates.by_id.get(node_id)
        if candidate is None or (waiting.only is not None and node_id not in waiting.only):
            return False
        if self.claim is not None and self.claim.node_id == node_id and self.must_mind(waiting.job):
            return False
        return Matching(waiting.job, waiting.need, self._candidates, waiting.bars).judge(candidate) == Fit.NOW

    def _most(self, entry: _Entry) -> int | None:
        """Count how many executions the job may start before the order is decided again."""
        others = sum(map(len, self._hopeful.values())) - 1
        if entry.waiting.job.wanted <= 1 or others <= 0:
            return None
        room = sum(
            _count_places(entry.waiting, candidate.free)
            for node_id in entry.line.hopes
            if (candidate := self._candidates.by_id.get(node_id))
        )
        return max(1, room // (others + 1))

    def _spread_offers(self) -> None:
        offered = [candidate for n in self._offered if (candidate := self._candidates.by_id.get(n))]
        self._offered.clear()
        for line in self._lines.values() if offered else ():
            need = self._entries[line.first(0)[1][2]].waiting.need
            self._give_hopes(line, (candidate.node_id for candidate in offered if candidate.holds(need)))

    def _give_hopes(self, line: _Line, node_ids: Iterable[str]) -> None:
        line.hopes.update(dict.fromkeys(node_ids))
        if line.hopes:
            self._hopeful[line.key] = line

    def _take_out(self, job_id: str) -> _Entry | None:
        entry = self._entries.pop(job_id, None)
        if entry is None:
            return None
        self._withdraw(entry)
        self._rises.discard((entry.rise, job_id))
        if not entry.line.levels:
            self._lines.pop(entry.line.key, None)
            self._hopeful.pop(entry.line.key, None)
        return entry

    def _enter(self, entry: _Entry) -> None:
        self._entries[entry.waiting.job.id] = entry
        self._lines[entry.line.key] = entry.line
        entry.line.put(entry.level, entry.rank)
        if entry.line.hopes:
            self._hopeful[entry.line.key] = entry.line
        if not entry.is_parked:
            self._group(entry)

    def _withdraw(self, entry: _Entry) -> None:
        entry.line.remove(entry.level, entry.rank)
        if not entry.is_parked:
            self._ungroup(entry)

    def _group(self, entry: _Entry) -> None:
        self._groups.setdefault((entry.level, entry.waiting.job.namespace), SortedList()).add(entry.rank)
        self._priorities[entry.waiting.job.priority] += 1

    def _ungroup(self, entry: _Entry) -> None:
        priority = entry.waiting.job.priority
        self._priorities[priority] -= 1
        if not self._priorities[priority]:
            del self._priorities[priority]
        key = (entry.level, entry.waiting.job.namespace)
        self._groups[key].remove(entry.rank)
        if not self._groups[key]:
            del self._groups[key]

    def _cap(self) -> int:
        """The highest priority of those that wait and are not parked: nobody rises above it."""
        return max(self._priorities, default=0)

    def _level_at(self, waiting: Waiting, now: int) -> int:
        priority = waiting.job.priority
        steps = max(0, now - waiting.since) // self._ageing_ns if self._ageing_ns else 0
        return max(priority, min(priority + steps, self._cap()))

    def _plan_rise(self, entry: _Entry, now: int) -> None:
        if self._ageing_ns:
            since = entry.waiting.since
            steps = max(0, now - since) // self._ageing_ns + 1
            entry.rise = since + steps * self._ageing_ns
            self._rises.add((entry.rise, entry.waiting.job.id))

    def _raise_levels(self, now: int) -> None:
        while self._rises and self._rises[0][0] <= now:
            _, job_id = self._rises.pop(0)
            entry = self._entries.get(job_id)
            if entry is None:
                continue
            self._plan_rise(entry, now)
            level = self._level_at(entry.waiting, now)
            if level != entry.level:
                self._withdraw(entry)
                entry.level = level
                self._enter(entry)
                if self.claim is not None:
                    self.offer(self.claim.node_id)


def _count_places(waiting: Waiting, free: Resources) -> int:
    """Count how often the job fits into free room."""
    need = waiting.need
    pairs = ((free.cpu, need.cpu), (free.memory, need.memory), (free.disk, need.disk), (free.gpu, need.gpu))
    places = int(min((have / want + 1e-9 for have, want in pairs if want), default=MANY))
    return min(places, 1) if waiting.job.task.static_ports else places
