"""Unfinished jobs as they were last written, so that looking at one needs no read; also those that have ended and of
which something still runs, because that is stopped in slices.

All writes go through `Orchestrator.commit`, which notes them here; a write is guarded by revision all the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bacalhau.lib.scrap import A_STEP, Scrap
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.ports.store import PlanStore

FEW = 8  # executions of a job that is evaluated with every change; reports of larger ones share an evaluation
LIMIT = 20_000  # jobs; beyond it the oldest entries are dropped, and read again when needed


@dataclass(eq=False)
class _Reading:
    """A read of views that is under way: what was written since it began, and the jobs that must be read again."""

    jobs: list[Job] = field(default_factory=list)
    executions: dict[str, list[Execution]] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    def note(self, jobs: Iterable[Job], executions: Mapping[str, Iterable[Execution]]) -> None:
        """Collect what was written, executions by job."""
        self.jobs.extend(jobs)
        for job_id, written in executions.items():
            self.executions.setdefault(job_id, []).extend(written)

    def update(self, view: JobView) -> None:
        """Bring a view that was read up to date with what was written meanwhile."""
        newest = max(
            (job for job in self.jobs if job.id == view.job.id), key=lambda job: job.revision, default=view.job
        )
        if newest.revision > view.job.revision:
            view.job = newest
        view.note(self.executions.get(view.job.id, ()))


class Views:
    """`scrap` takes the executions of large jobs whose views are not needed any more."""

    def __init__(self) -> None:
        self.scrap = Scrap()
        self._views: dict[str, JobView] = {}
        self._missed: dict[str, bool] = {}  # and whether the job was over when it was known last
        self._readings: list[_Reading] = []

    def all(self) -> list[JobView]:
        """Return the views at hand."""
        return list(self._views.values())

    def find_job(self, job_id: str) -> Job | None:
        """Return a job as it is stored. None where it is not at hand."""
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

    def is_over(self, job_id: str) -> bool:
        """Tell whether a job is known to have ended with all its executions. No evaluation of it changes anything."""
        return self._missed.get(job_id, False)

    def forget(self, job_id: str) -> None:
        """Drop a job's view. It is read again when it is needed, also by whoever reads it right now."""
        self._drop(job_id)
        self._miss(job_id)
        for reading in self._readings:
            reading.forgotten.add(job_id)
            reading.executions.pop(job_id, None)

    async def load(self, store: PlanStore, job_ids: list[str]) -> dict[str, JobView]:
        """Return the views of those jobs that exist, as they are when this returns; what is not at hand is read."""
        missing = [job_id for job_id in job_ids if job_id not in self._views]
        read = await self._read(store, missing) if missing else {}
        known = ((job_id, self._views.get(job_id) or read.get(job_id)) for job_id in job_ids)
        return {job_id: view for job_id, view in known if view}

    async def _read(self, store: PlanStore, job_ids: list[str]) -> dict[str, JobView]:
        """Read and keep views. Those that were forgotten meanwhile are read again."""
        read: dict[str, JobView] = {}
        missing = job_ids
        with self._reading() as reading:
            while missing:
                reading.forgotten.clear()
                read |= await store.load_views(missing)
                missing = [job_id for job_id in job_ids if job_id in reading.forgotten]
                for job_id in missing:
                    read.pop(job_id, None)
        for job_id, view in read.items():
            reading.update(view)
            if job_id not in self._views:
                self._keep(view)
        return read

    @contextmanager
    def _reading(self) -> Iterator[_Reading]:
        """Collect what is written while a read is under way: what was read may be older."""
        reading = _Reading()
        self._readings.append(reading)
        try:
            yield reading
        finally:
            self._readings.remove(reading)

    def note(self, change: Change) -> None:
        """Put a change that has been applied into the views. Of two states of a thing the one of the higher revision
        counts, in whichever order they are noted.
        """
        jobs = (*change.new_jobs, *change.jobs)
        executions: dict[str, list[Execution]] = {}
        for execution in (*change.new_executions, *change.executions):
            executions.setdefault(execution.job_id, []).append(execution)
        for job in jobs:
            self._note_job(job)
        for job_id, written in executions.items():
            if known := self._views.get(job_id):
                known.note(written)
                self._keep(known)
            else:
                self._miss(job_id, is_over=self.is_over(job_id) and not any(e.is_live for e in written))
        for reading in self._readings:
            reading.note(jobs, executions)

    def _note_job(self, job: Job) -> None:
        known = self._views.get(job.id)
        if known is None and job.revision == 1 and job.id not in self._missed:
            self._keep(JobView(job, ()))
        elif known is None:
            self._miss(job.id)
        elif known.job.revision < job.revision:
            known.job = job
            self._keep(known)

    def _keep(self, view: JobView) -> None:
        """Keep the view of a job until it has ended with all its executions; then it is rarely needed."""
        if view.job.is_done and not view.live_on:
            self._drop(view.job.id)
            self._miss(view.job.id, is_over=True)
        else:
            self._missed.pop(view.job.id, None)
            self._views[view.job.id] = view
            if len(self._views) > LIMIT:
                self._drop(next(iter(self._views)))

    def _drop(self, job_id: str) -> None:
        """Drop the view of a job. The executions of a large one are freed a few at a time."""
        view = self._views.pop(job_id, None)
        if view is not None and view.size > A_STEP:
            self.scrap.put(list(view.executions))

    def _miss(self, job_id: str, *, is_over: bool = False) -> None:
        """Remember that a job without a view has changed: should its submission be noted after that, it is old."""
        self._missed[job_id] = is_over
        if len(self._missed) > LIMIT:
            del self._missed[next(iter(self._missed))]
