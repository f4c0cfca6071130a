"""A job with its executions in memory, and the figures that schedulers need at every evaluation.

A job may have 100,000 partitions, and every report of a node leads to an evaluation. So nothing here is counted anew
for each of them: `JobView.note` keeps the figures up to date, one execution at a time.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.job.job import Job


class Tally:
    """The figures of one version of a job.

    `count` executions belong to this version. `live_on` holds the live ones of all versions by node and id, `outdated`
    the live ones of other versions by id. Of this version, `failed` holds the failures by partition, `failures_on`
    their number by node, `refused` what nodes refused by id, `away` what found no engine by id, and `completed` the
    number of completions by partition.
    """

    __slots__ = (
        "_held",
        "_reopened",
        "_untouched",
        "away",
        "completed",
        "count",
        "failed",
        "failures_on",
        "live_on",
        "outdated",
        "refused",
        "version",
        "wanted",
    )

    def __init__(self, version: int, wanted: int, executions: Iterable[Execution] = ()) -> None:
        self.version, self.wanted = version, wanted
        self.count = 0
        self.live_on: dict[str, dict[str, Execution]] = {}
        self.outdated: dict[str, Execution] = {}
        self.failed: dict[int, dict[str, Execution]] = {}
        self.failures_on: dict[str, int] = {}
        self.refused: dict[str, Execution] = {}
        self.away: dict[str, Execution] = {}
        self.completed: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._reopened: dict[int, None] = {}
        self._untouched = 0  # partitions from this one on have never had an execution
        for execution in executions:
            self.replace(None, execution)

    def replace(self, old: Execution | None, new: Execution) -> None:
        """Count the execution as it is now instead of as it was."""
        if old is not None:
            self._drop(old)
        self._add(new)
        self._settle(new.partition_index)

    def open_partitions(self) -> Iterator[int]:
        """Yield the partitions that have neither a live nor a completed execution, lowest first."""
        return chain(self.reopened(), range(self._untouched, self.wanted))

    def is_open(self, index: int) -> bool:
        """Tell whether a partition has neither a live nor a completed execution."""
        return index in self._reopened or self._untouched <= index < self.wanted

    def reopened(self) -> list[int]:
        """List the open partitions that had an execution before, lowest first."""
        return sorted(self._reopened)

    def _settle(self, index: int) -> None:
        if index >= self.wanted:
            return
        for gap in range(self._untouched, index):
            self._reopened[gap] = None
        self._untouched = max(self._untouched, index + 1)
        if self._held.get(index) or index in self.completed:
            self._reopened.pop(index, None)
        else:
            self._reopened[index] = None

    def _add(self, e: Execution) -> None:
        if e.is_live:
            self.live_on.setdefault(e.node_id, {})[e.id] = e
            self._held[e.partition_index] = self._held.get(e.partition_index, 0) + 1
            if e.job_version != self.version:
                self.outdated[e.id] = e
        if e.job_version != self.version:
            return
        self.count += 1
        if e.found_no_engine:
            self.away[e.id] = e
        elif e.state == ComputeStateType.FAILED:
            self.failed.setdefault(e.partition_index, {})[e.id] = e
            self.failures_on[e.node_id] = self.failures_on.get(e.node_id, 0) + 1
        elif e.state == ComputeStateType.COMPLETED:
            self.completed[e.partition_index] = self.completed.get(e.partition_index, 0) + 1
        elif e.state == ComputeStateType.ASK_FOR_BID_REJECTED:
            self.refused[e.id] = e

    def _drop_live(self, e: Execution) -> None:
        del self.live_on[e.node_id][e.id]
        if not self.live_on[e.node_id]:
            del self.live_on[e.node_id]
        self._held[e.partition_index] -= 1
        self.outdated.pop(e.id, None)

    def _drop(self, e: Execution) -> None:
        if e.is_live:
            self._drop_live(e)
        if e.job_version != self.version:
            return
        self.count -= 1
        if e.state == ComputeStateType.FAILED and not e.found_no_engine:
            del self.failed[e.partition_index][e.id]
            if not self.failed[e.partition_index]:
                del self.failed[e.partition_index]
            self.failures_on[e.node_id] -= 1
            if not self.failures_on[e.node_id]:
                del self.failures_on[e.node_id]
        elif e.state == ComputeStateType.COMPLETED:
            self.completed[e.partition_index] -= 1
            if not self.completed[e.partition_index]:
                del self.completed[e.partition_index]
        else:
            self.refused.pop(e.id, None)
            self.away.pop(e.id, None)


class JobView:
    """A job and all executions of all its versions.

    `note` changes a view in place, and `trial` does so for a while; the `with_…` methods leave it as it is.
    """

    __slots__ = ("_by_id", "_tally", "job")

    def __init__(self, job: Job, executions: Iterable[Execution] = ()) -> None:
        self.job = job
        self._by_id = {execution.id: execution for execution in executions}
        self._tally: Tally | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobView) and (self.job, self._by_id) == (other.job, other._by_id)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"JobView({self.job!r}, {self.executions!r})"

    @property
    def executions(self) -> tuple[Execution, ...]:
        return tuple(self._by_id.values())

    @property
    def size(self) -> int:
        """Number of executions."""
        return len(self._by_id)

    @property
    def tally(self) -> Tally:
        """The figures of the job's present version."""
        known = self._tally
        if known is not None and (known.version, known.wanted) == (self.job.version, self.job.wanted):
            return known
        self._tally = Tally(self.job.version, self.job.wanted, self._by_id.values())
        return self._tally

    @property
    def outdated(self) -> list[Execution]:
        """The live executions of other versions."""
        return list(self.tally.outdated.values())

    @property
    def live_on(self) -> Mapping[str, Mapping[str, Execution]]:
        """The live executions of all versions, by node and id."""
        return self.tally.live_on

    def live(self) -> Iterator[Execution]:
        """Yield the live executions of all versions."""
        return (execution for mine in self.tally.live_on.values() for execution in mine.values())

    def live_current(self) -> Iterator[Execution]:
        """Yield the live executions of the present version."""
        return (execution for execution in self.live() if execution.job_version == self.job.version)

    def current(self) -> list[Execution]:
        """List all executions of the present version."""
        return [execution for execution in self._by_id.values() if execution.job_version == self.job.version]

    def find(self, execution_id: str) -> Execution | None:
        return self._by_id.get(execution_id)

    def note(self, executions: Iterable[Execution]) -> None:
        """Put new or changed executions into this view, unless it has them at a later revision."""
        for execution in executions:
            old = self._by_id.get(execution.id)
            if old is None or old.revision < execution.revision:
                self._put(execution)

    @contextmanager
    def trial(self, executions: Iterable[Execution]) -> Iterator[None]:
        """Show known executions as they will be when these are written, and as they were at the end of the block."""
        before = []
        for execution in executions:
            before.append(self._by_id[execution.id])
            self._put(execution)
        try:
            yield
        finally:
            for execution in reversed(before):
                self._put(execution)

    def _put(self, execution: Execution) -> None:
        old = self._by_id.get(execution.id)
        self._by_id[execution.id] = execution
        if self._tally is not None:
            self._tally.replace(old, execution)

    def with_executions(self, executions: Iterable[Execution]) -> "JobView":
        """Return the view as it will be when these executions are written; itself where there are none."""
        changed = {execution.id: execution for execution in executions}
        return JobView(self.job, (self._by_id | changed).values()) if changed else self

    def with_job(self, job: Job) -> "JobView":
        """Return the view of a changed job with the same executions."""
        return JobView(job, self._by_id.values())
