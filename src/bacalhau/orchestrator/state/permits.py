"""The permits to publish that nodes may hold at this moment.

A node acts on a permit for two seconds (`compute/remote/permit.py`). When an execution is stopped or leaves its node
meanwhile, the next attempt at its partition waits until the permit has run out, or until the node told that nothing of
the execution runs any more. So of two attempts at a partition never both may publish.
"""

from typing import NamedTuple

from bacalhau.models.execution.execution import Execution

HOLD_NS = 2_500_000_000  # longer than a node acts on a permit, also when its clock goes a little slower than ours


class Permit(NamedTuple):
    """The right of one execution to publish, until a time in Unix ns."""

    job_id: str
    partition: int
    until: int


class Permits:
    """The permits that have not run out. Those that have are dropped when the next one is granted."""

    def __init__(self) -> None:
        self._held: dict[str, Permit] = {}  # oldest first
        self._by_job: dict[str, dict[str, Permit]] = {}

    def grant(self, execution: Execution, now: int) -> None:
        """Note that the node of an execution may publish its result from now on."""
        while self._held and self._held[oldest := next(iter(self._held))].until <= now:
            self.end(oldest)
        self.end(execution.id)
        permit = self._held[execution.id] = Permit(execution.job_id, execution.partition_index, now + HOLD_NS)
        self._by_job.setdefault(execution.job_id, {})[execution.id] = permit

    def end(self, execution_id: str) -> None:
        """Note that nothing of an execution runs any more, as its node told."""
        permit = self._held.pop(execution_id, None)
        if permit is not None:
            mine = self._by_job[permit.job_id]
            del mine[execution_id]
            if not mine:
                del self._by_job[permit.job_id]

    def fenced(self, job_id: str) -> dict[int, int]:
        """Find until when (Unix ns) some attempt at each partition of a job may still publish."""
        found: dict[int, int] = {}
        for permit in self._by_job.get(job_id, {}).values():
            found[permit.partition] = max(permit.until, found.get(permit.partition, 0))
        return found
