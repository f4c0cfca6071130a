"""A job enters, is changed or is stopped: checked whole, then one transaction and one look."""

from contextlib import suppress

import msgspec

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, Conflict, NotFound
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.ids import evaluation_id, new_job_id
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import CLIENT_META, Job, JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.models.job.validate import normalized, same_spec, sanitized, validate_job
from bacalhau.models.wire.api import FORCE_HINT, PutJobResponse, StopJobResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import commit_and_evaluate, evaluation_of
from bacalhau.orchestrator.scheduling.place import needed_resources

ATTEMPTS = 10  # of a change that others overtake
INSTANCE_META = "bacalhau.org/client.instance.id"


async def submit_job(
    orch: Orchestrator, job: Job, *, force: bool, warnings: tuple[str, ...], client: str, instance: str
) -> PutJobResponse:
    """Create the job, or update the one of its name.

    Raises BadRequest with every problem, Conflict when nothing changed.
    """
    ready, notes = prepare_job(orch, job, client, instance)
    for attempt in range(1, ATTEMPTS + 1):
        existing = await find_namesake(orch, ready) if job.name else None
        change = _create(ready) if existing is None else _update(existing, ready, force)
        stored = (change.new_jobs + change.jobs)[0]
        reach(Point.SUBMITTING)
        try:
            await commit_and_evaluate(orch, change, stored.id, JobView(stored, ()) if existing is None else None)
            break
        except Conflict:  # the scheduler or another client was first: the next attempt goes on from there
            if attempt == ATTEMPTS:
                raise
    reach(Point.SUBMITTED)
    return PutJobResponse(
        job_id=stored.id,
        evaluation_id=evaluation_id(stored.id, stored.version, 0),
        warnings=(*warnings, *notes) or None,
    )


def prepare_job(orch: Orchestrator, job: Job, client: str, instance: str) -> tuple[Job, list[str]]:
    """The job as it will be stored, and the warnings; raises BadRequest with every problem."""
    complete, notes = _completed(orch, job)
    problems = _problems(orch, complete)
    if problems:
        raise BadRequest(problems, component="APIServer")
    job_id = complete.id or new_job_id()
    meta = dict(complete.meta or {}) | {
        "bacalhau.org/orchestrator.id": orch.node_id,
        "bacalhau.org/requester.id": orch.node_id,
    }
    meta |= {key: value for key, value in ((CLIENT_META, client), (INSTANCE_META, instance)) if value}
    return msgspec.structs.replace(complete, id=job_id, name=complete.name or job_id, meta=meta), notes


def job_problems(orch: Orchestrator, job: Job) -> list[str]:
    """Every problem of a job as it was sent."""
    return _problems(orch, _completed(orch, job)[0])


def _completed(orch: Orchestrator, job: Job) -> tuple[Job, list[str]]:
    clean, notes = sanitized(normalized(job))
    return orch.fill_defaults(clean), notes


def _problems(orch: Orchestrator, job: Job) -> list[str]:
    known = orch.checks
    found = validate_job(job, known.engines, known.sources, known.publishers, known.whole)
    return found or _over_quota(orch, job)


def _over_quota(orch: Orchestrator, job: Job) -> list[str]:
    """What can never be within the quota of its namespace; a service runs all its partitions at the same time."""
    allowance, count = orch.cluster.quotas.allowance(job.namespace), job.wanted if job.type == "service" else 1
    excess = allowance.find_excess(needed_resources(job), max(1, count))
    each = f"{count} times the task" if count > 1 else "the task"
    return [f"{each} {excess}: {allowance.cure}"] if excess else []


async def find_namesake(orch: Orchestrator, job: Job) -> Job | None:
    """The stored job of the same name and namespace."""
    try:
        found = await orch.store.find_job(job.name, job.namespace)
    except (NotFound, Conflict):
        return None
    return found if found.name == job.name and found.namespace == job.namespace else None


def _create(job: Job) -> Change:
    now = now_ns()
    state = JobState(state_type=JobStateType.PENDING)
    new = msgspec.structs.replace(job, state=state, version=1, revision=1, create_time=now, modify_time=now)
    return Change(new_jobs=(new,), history=(submission_entry(new, "Job submitted", now),))


def _update(existing: Job, job: Job, force: bool) -> Change:
    if job.type != existing.type:
        text = f"job {existing.name} is of type {existing.type} and cannot become one of type {job.type}"
        raise Conflict(text, hint="give the new job another name")
    if not force and same_spec(existing, job):
        text = f"no changes detected for new job spec. Job Name: '{existing.name}', Job Id: '{existing.id}'"
        raise Conflict(text, hint=FORCE_HINT)
    changed = next_version(existing, job, "Job update requested by user")
    return Change(jobs=(changed,), history=(submission_entry(changed, "Job updated", changed.modify_time),))


def next_version(existing: Job, job: Job, why: str) -> Job:
    """The stored job with what `job` asks for, to be run from the beginning."""
    now = now_ns()
    return msgspec.structs.replace(
        existing.moved(JobStateType.PENDING, now, why),
        priority=job.priority,
        count=job.count,
        constraints=job.constraints,
        meta=job.meta,
        labels=job.labels,
        tasks=job.tasks,
        version=existing.version + 1,
        submit_time=now,
    )


def submission_entry(job: Job, text: str, now: int, **details: str) -> HistoryEntry:
    return HistoryEntry(
        job_id=job.id, job_version=job.version, event=make_event(Topic.SUBMISSION, text, now, **details)
    )


async def stop_job(orch: Orchestrator, job_id: str, namespace: str, reason: str) -> StopJobResponse:
    """Raises NotFound, and Conflict for a job that has ended otherwise than by a stop."""
    for _ in range(ATTEMPTS):
        job = await orch.store.find_job(job_id, namespace)
        if job.state.state_type == JobStateType.STOPPED:
            return StopJobResponse()
        if job.is_done:
            raise Conflict(f"cannot stop job in state {job.state.state_type}")
        # A job that has just been submitted is being scheduled: who asks to stop it does not care who was first.
        with suppress(Conflict):
            return await _stop(orch, job, reason)
        orch.views.forget(job.id)
    raise Conflict(f"job {job_id} keeps changing", hint="stop it again")


async def _stop(orch: Orchestrator, job: Job, reason: str) -> StopJobResponse:
    now = now_ns()
    stopped = job.moved(JobStateType.STOPPED, now, reason)
    text = "Job requested to stop before completion"
    event = make_event(Topic.SCHEDULING, text, now, NewState="Stopped", Reason=reason)
    view = await _view(orch, job)
    reach(Point.STOPPING)
    change = Change(jobs=(stopped,), history=(HistoryEntry(job_id=job.id, job_version=job.version, event=event),))
    await commit_and_evaluate(orch, change, job.id, view.with_job(stopped))
    reach(Point.STOPPED)
    return StopJobResponse(evaluation_id=evaluation_of(view))


async def _view(orch: Orchestrator, job: Job) -> JobView:
    """Raises Conflict when the job has changed meanwhile."""
    view = (await orch.views.load(orch.store, [job.id])).get(job.id)
    if view is None or view.job.revision != job.revision:
        raise Conflict(f"job {job.id} has changed")
    return view
