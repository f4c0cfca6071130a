"""The permits to publish that nodes may hold at this moment.

A node acts on a permit for two seconds (`compute/remote/permit.py`). When an execution is stopped or leaves its node
meanwhile, its slot stays empty until the permit has run out, or until the node told that nothing of the execution runs
any more. So of two attempts in a slot never both may publish.

Grants and ends have one order: an end that is about to be written is noted first (`ending`), and from then on nothing
is granted to that execution; what was granted before that is seen when the next execution in the slot is written
(`must_wait`). What an earlier process of the orchestrator may have granted is not known, so after a start every slot
that was in use before stays empty for as long as a permit lasts (`begin`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bacalhau.orchestrator.scheduling.view import OPEN, Fence, Slot

HOLD_NS = 2_500_000_000  # longer than a node acts on a permit, also when its clock goes a little slower than ours


class Permit(NamedTuple):
    """The right of one execution to publish, until a time in Unix ns."""

    job_id: str
    slot: Slot
    until: int


class Permits:
    """The permits that have not run out. Those that have are dropped when the next one is granted."""

    def __init__(self) -> None:
        self._held: dict[str, Permit] = {}  # oldest first
        self._by_job: dict[str, dict[str, Permit]] = {}
        self._ending: Counter[str] = Counter()
        self._began = 0

    def begin(self, now: int) -> None:
        """Note that a process of the orchestrator begins, and an earlier one may have granted permits until now."""
        self._began = now

    def grant(self, execution_id: str, job_id: str, slot: Slot, now: int) -> bool:
        """Note that the node of a live execution may publish its result from now on. Return False, and note nothing,
        while the end of the execution is being written.
        """
        if self._ending[execution_id]:
            return False
        while self._held and self._held[oldest := next(iter(self._held))].until <= now:
            self.end(oldest)
        self.end(execution_id)
        permit = self._held[execution_id] = Permit(job_id, slot, now + HOLD_NS)
        self._by_job.setdefault(job_id, {})[execution_id] = permit
        return True

    def end(self, execution_id: str) -> None:
        """Note that nothing of an execution runs any more, as its node told."""
        permit = self._held.pop(execution_id, None)
        if permit is not None:
            mine = self._by_job[permit.job_id]
            del mine[execution_id]
            if not mine:
                del self._by_job[permit.job_id]

    @contextmanager
    def ending(self, execution_ids: Iterable[str]) -> Iterator[None]:
        """Grant nothing to these executions inside the block, in which their end is written."""
        ids = tuple(execution_ids)
        self._ending.update(ids)
        try:
            yield
        finally:
            for execution_id in ids:
                self._ending[execution_id] -= 1
                if not self._ending[execution_id]:
                    del self._ending[execution_id]

    def must_wait(self, job_id: str, slot: Slot, now: int) -> bool:
        """Tell whether some attempt in a slot of a job may still publish."""
        return any(p.slot == slot and p.until > now for p in self._by_job.get(job_id, {}).values())

    def fence(self, job_id: str, created: int) -> Fence:
        """Find the slots of a job that must stay empty for now. `created`: Unix ns of the job's creation."""
        used = self._began + HOLD_NS if created < self._began else 0
        held = self._by_job.get(job_id)
        if not (held or used):
            return OPEN
        slots: dict[Slot, int] = {}
        for permit in (held or {}).values():
            slots[permit.slot] = max(permit.until, slots.get(permit.slot, 0))
        return Fence(slots, used)
