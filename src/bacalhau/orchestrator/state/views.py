"""Unfinished jobs as they were last written, so that looking at one needs no read.

All writes go through `Orchestrator.commit`, which notes them here; a write is guarded by revision all the same.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.ports.store import PlanStore

FEW = 8  # executions of a job that is evaluated with every change; reports of larger ones share an evaluation
LIMIT = 20_000  # jobs; beyond it the oldest entries are read again when needed


class Views:
    def __init__(self) -> None:
        self._views: dict[str, JobView] = {}
        self._loads: list[set[str]] = []

    def find_job(self, job_id: str) -> Job | None:
        """Return an unfinished job as it is stored. None where it is not at hand."""
        view = self._views.get(job_id)
        return view.job if view else None

    def find(self, job_id: str, execution_id: str) -> tuple[Execution, Job] | None:
        """An execution and its job."""
        view = self._views.get(job_id)
        execution = view.find(execution_id) if view else None
        return (execution, view.job) if view and execution else None

    def job(self, job_id: str, version: int) -> Job | None:
        """Find a version of a job. Return None where it is not at hand."""
        view = self._views.get(job_id)
        return view.job if view and view.job.version == version else None

    def with_execution(self, execution: Execution) -> JobView | None:
        """The execution's job as it will be when that is written; None where it is not at hand, or too large."""
        known = self._views.get(execution.job_id)
        return known.with_executions([execution]) if known and known.size <= FEW else None

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
                known.job = job
                self._keep(known)
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
                known.note(written)

    def _keep(self, view: JobView) -> None:
        """Finished jobs are rarely looked at again."""
        if view.job.is_done:
            self._views.pop(view.job.id, None)
            return
        self._views[view.job.id] = view
        if len(self._views) > LIMIT:
            del self._views[next(iter(self._views))]
