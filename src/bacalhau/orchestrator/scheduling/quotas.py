"""Quotas: how much each namespace may have reserved at the same time, whatever room the nodes have.

A job that would exceed the quota of its namespace waits for that alone: it stands in no line for room and no node is
kept for it. It is evaluated again when executions of its namespace have ended. Jobs that need the same wait together,
the more urgent and the older first, and only as many are woken as the quota has space for.
"""

import heapq
from collections.abc import Mapping
from typing import NamedTuple

from bacalhau.lib.units import show_bytes
from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.orchestrator.scheduling.view import QUOTA, Plan, queue_order

EVERYBODY = "*"  # the name under which a configuration gives the quota of all namespaces that it does not name
AT_ONCE = 8  # jobs woken together that need the same; each evaluation wakes the next


class Quota(NamedTuple):
    """The most that one namespace may have reserved: cores, bytes, GPUs and executions; None is no limit."""

    cpu: float | None = None
    memory: int | None = None
    gpu: int | None = None
    executions: int | None = None


NO_QUOTA = Quota()


class Bound(NamedTuple):
    """One resource of a quota: its `limit`, what is `used` of it and what one more execution takes; `show` is its text
    with its unit.
    """

    limit: float
    used: float
    need: float
    show: str


class Allowance(NamedTuple):
    """The quota of one namespace and what it has reserved now, besides `executions` running ones."""

    namespace: str = ""
    quota: Quota = NO_QUOTA
    used: Resources = Resources()
    executions: int = 0

    def _bounds(self, need: Resources) -> list[Bound]:
        quota, used = self.quota, self.used
        cpu, memory = f"{used.cpu:g} of {quota.cpu or 0:g} CPU", f"{show_bytes(used.memory)} of"
        bounds: tuple[tuple[float | None, float, float, str], ...] = (
            (quota.cpu, used.cpu, need.cpu, cpu),
            (quota.memory, used.memory, need.memory, f"{memory} {show_bytes(quota.memory or 0)} memory"),
            (quota.gpu, used.gpu, need.gpu, f"{used.gpu} of {quota.gpu} GPU"),
            (quota.executions, self.executions, 1, f"{self.executions} of {quota.executions} executions"),
        )
        return [Bound(limit, used, one, show) for limit, used, one, show in bounds if limit is not None]

    def most(self, need: Resources) -> int | None:
        """Return how many more executions may start; None is no limit."""
        if self.quota is NO_QUOTA:
            return None
        counts = [
            max(0, int((bound.limit - bound.used) / bound.need + 1e-9)) for bound in self._bounds(need) if bound.need
        ]
        return min(counts, default=None)

    def find_excess(self, need: Resources, count: int = 1) -> str:
        """Say why `count` executions exceed the quota even when the namespace has nothing else; "" when they do not."""
        if self.quota is NO_QUOTA:
            return ""
        idle = self._replace(used=Resources(), executions=0)
        most = idle.most(need)
        if most is None or most >= count:
            return ""
        told = next(bound for bound in idle._bounds(need) if bound.need * count > bound.limit + 1e-9)
        return f"exceeds the quota of namespace {self.namespace}, {told.show.partition(' of ')[2]}"

    def explain(self, need: Resources, started: int) -> str:
        """Say why no more executions may start once so many have been `started`."""
        used = self.used
        for _ in range(started):
            used = used.plus(need)
        then = self._replace(used=used, executions=self.executions + started)
        short = [
            bound.show for bound in then._bounds(need) if bound.need and bound.used + bound.need > bound.limit + 1e-9
        ]
        return f"{QUOTA}namespace {self.namespace} uses {', '.join(short)}"

    @property
    def cure(self) -> str:
        return f"ask for less, or raise Orchestrator.Scheduler.Quotas for namespace {self.namespace}"


UNLIMITED = Allowance()


class Waiter(NamedTuple):
    """A job that waits for its namespace's quota, and what one execution of it needs."""

    order: tuple[int, int, str]
    namespace: str
    need: Resources


class Quotas:
    """The quota of each namespace (`*`: of every other one), what is used of it, and the jobs that wait for it."""

    def __init__(self, quotas: Mapping[str, Quota] | None = None) -> None:
        self._quotas = dict(quotas or {})
        self._used: dict[str, Resources] = {}
        self._executions: dict[str, int] = {}
        self._waiting: dict[str, Waiter] = {}
        self._lines: dict[str, dict[Resources, list[tuple[tuple[int, int, str], str]]]] = {}

    def allowance(self, namespace: str) -> Allowance:
        """Return the namespace's quota with what is used of it."""
        quota = self._quotas.get(namespace) or self._quotas.get(EVERYBODY)
        if quota is None:
            return UNLIMITED
        used = self._used.get(namespace, Resources())
        return Allowance(namespace, quota, used, self._executions.get(namespace, 0))

    @property
    def waiting(self) -> int:
        """The number of jobs that wait for their namespace's quota."""
        return len(self._waiting)

    def take(self, namespace: str, need: Resources) -> None:
        """Count one more execution, where there are quotas at all."""
        if not self._quotas:
            return
        self._used[namespace] = self._used.get(namespace, Resources()).plus(need)
        self._executions[namespace] = self._executions.get(namespace, 0) + 1

    def give_back(self, namespace: str, need: Resources) -> None:
        """Count one execution less, taken with the same values before."""
        if not self._quotas:
            return
        self._used[namespace] = self._used[namespace].minus(need)
        self._executions[namespace] -= 1
        if not self._executions[namespace]:
            del self._used[namespace], self._executions[namespace]

    def note(self, job: Job, need: Resources, plan: Plan) -> None:
        """Have the job woken when its namespace's quota has space, if that is what the plan waits for."""
        if not plan.wants_quota:
            self._waiting.pop(job.id, None)
            return
        waiter = Waiter(queue_order(job), job.namespace, need)
        if self._waiting.get(job.id) != waiter:
            self._waiting[job.id] = waiter
            line = self._lines.setdefault(job.namespace, {}).setdefault(need, [])
            heapq.heappush(line, (waiter.order, job.id))

    def forget(self, job_id: str) -> None:
        """The job has ended and waits for nothing."""
        self._waiting.pop(job_id, None)

    def wake(self, namespace: str) -> list[str]:
        """Take the jobs out that may start something now. They wait again if their evaluation says so."""
        found: list[str] = []
        lines = self._lines.get(namespace, {})
        for need in list(lines):
            most = self.allowance(namespace).most(need)
            count = AT_ONCE if most is None else min(AT_ONCE, most)
            while lines[need] and count:
                order, job_id = heapq.heappop(lines[need])
                waiter = self._waiting.get(job_id)
                if waiter is not None and (waiter.order, waiter.need) == (order, need):
                    del self._waiting[job_id]
                    found.append(job_id)
                    count -= 1
            if not lines[need]:
                del lines[need]
        if not lines:
            self._lines.pop(namespace, None)
        return found
