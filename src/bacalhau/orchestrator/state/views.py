"""Unfinished jobs as they were last written, so that looking at one needs no read.

All writes go through `Orchestrator.commit`, which notes them here; a write is guarded by revision all the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import Job
from bacalhau.ports.store import JobView, PlanStore

LIMIT = 20_000  # jobs; beyond it the oldest entries are read again when needed


class Views:
    def __init__(self) -> None:
        self._views: dict[str, JobView] = {}
        self._loads: list[set[str]] = []

    def find(self, job_id: str, execution_id: str) -> tuple[Execution, Job] | None:
        """An execution and its job."""
        view = self._views.get(job_id)
        return next(((e, view.job) for e in view.executions if e.id == execution_id), None) if view else None

    def with_execution(self, execution: Execution) -> JobView | None:
        """The execution's job as it will be when that is written; None where it is not at hand."""
        known = self._views.get(execution.job_id)
        return _with(known, [execution]) if known else None

    def forget(self, job_id: str) -> None:
        """It is read again when it is needed, also by whoever is reading it right now."""
        self._views.pop(job_id, None)
        for changed in self._loads:
            changed.add(job_id)

    async def load(self, store: PlanStore, job_ids: list[str]) -> dict[str, JobView]:
        """Those of `job_ids` that exist; what is not at hand is read and kept."""
        at_hand = {job_id: view for job_id in job_ids if (view := self._views.get(job_id))}
        missing = [job_id for job_id in job_ids if job_id not in at_hand]
        if not missing:
            return at_hand
        with self._loading() as changed_meanwhile:
            read = await store.load_views(missing)
        for job_id, view in read.items():
            if job_id not in changed_meanwhile:
                self._keep(view)
        return at_hand | read

    @contextmanager
    def _loading(self) -> Iterator[set[str]]:
        """Collects the jobs that are written while a read is under way: what was read of them may be old."""
        changed: set[str] = set()
        self._loads.append(changed)
        try:
            yield changed
        finally:
            self._loads.remove(changed)

    def note(self, change: Change) -> None:
        """The change has been applied."""
        for job in change.new_jobs:
            self._keep(JobView(job, ()))
        for job in change.jobs:
            known = self._views.get(job.id)
            if known:
                self._keep(known._replace(job=job))
        self._note_executions((*change.new_executions, *change.executions))
        for changed in self._loads:
            changed.update(job.id for job in (*change.new_jobs, *change.jobs))
            changed.update(e.job_id for e in (*change.new_executions, *change.executions))

    def _note_executions(self, executions: Iterable[Execution]) -> None:
        changed: dict[str, list[Execution]] = {}
        for execution in executions:
            changed.setdefault(execution.job_id, []).append(execution)
        for job_id, written in changed.items():
            known = self._views.get(job_id)
            if known:
                self._views[job_id] = _with(known, written)

    def _keep(self, view: JobView) -> None:
        """Finished jobs are rarely looked at again."""
        if view.job.is_done:
            self._views.pop(view.job.id, None)
            return
        self._views[view.job.id] = view
        if len(self._views) > LIMIT:
            del self._views[next(iter(self._views))]


def _with(view: JobView, written: Sequence[Execution]) -> JobView:
    """At once for all of them: a job may have thousands."""
    ids = {execution.id for execution in written}
    return view._replace(executions=(*(e for e in view.executions if e.id not in ids), *written))
