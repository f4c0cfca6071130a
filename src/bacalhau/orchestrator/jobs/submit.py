"""A job enters, is changed or is stopped: checked whole, then written in one transaction with what follows from it."""

from typing import NamedTuple

import msgspec

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, Conflict, NotFound
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.ids import evaluation_id, new_job_id
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.plan import HistoryEntry
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import CLIENT_META, Job, JobState
from bacalhau.models.job.overlap import list_overlaps
from bacalhau.models.job.reuse import CURE
from bacalhau.models.job.state import JobStateType
from bacalhau.models.job.submission import Submission, make_submission, token_problem
from bacalhau.models.job.unused import unused_params
from bacalhau.models.job.validate import normalized, same_spec, sanitized, unlooked, validate_job
from bacalhau.models.wire.api import FORCE_HINT, PutJobResponse, StopJobResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import evaluation_of
from bacalhau.orchestrator.evaluation.pinning import pin_inputs
from bacalhau.orchestrator.evaluation.reusing import doubts_of
from bacalhau.orchestrator.jobs.change import Decision, change_job, read_view
from bacalhau.orchestrator.scheduling.place import needed_resources

INSTANCE_META = "bacalhau.org/client.instance.id"


class Sender(NamedTuple):
    """The sender of a submission: the ids of its client, and the token by which it may send the same again."""

    client: str = ""
    instance: str = ""
    token: str = ""


NOBODY = Sender()


async def submit_job(
    orch: Orchestrator, job: Job, *, force: bool, warnings: tuple[str, ...], sender: Sender = NOBODY
) -> PutJobResponse:
    """Create the job, or update the one of its name. The same submission with the same token is answered as before.

    Raises BadRequest with every problem, Conflict when nothing changed, or when the token was used for something else.
    """
    if problem := token_problem(sender.token):
        raise BadRequest(problem, component="APIServer")
    wanted = make_submission(job, sender.token, force=force)
    if found := await _find_same(orch, wanted):
        return _answer(found.job_id, found.job_version, warnings)
    ready, notes = prepare_job(orch, job, sender.client, sender.instance)
    ready = (await pin_inputs(orch, ready)).job

    async def decide() -> Decision | None:
        if await _find_same(orch, wanted):
            return None
        existing = await find_namesake(orch, ready) if job.name else None
        reach(Point.SUBMITTING)
        decision = _create(ready) if existing is None else _update(existing, ready, force)
        made = decision.job
        return decision._replace(
            submission=wanted and msgspec.structs.replace(wanted, job_id=made.id, job_version=made.version)
        )

    decision = await change_job(orch, ready.name, decide)
    found = None if decision else await _find_same(orch, wanted)
    reach(Point.SUBMITTED)
    if found:  # the same submission was faster
        return _answer(found.job_id, found.job_version, warnings)
    stored = decision.job if decision else ready
    return _answer(stored.id, stored.version, (*warnings, *notes))


def _answer(job_id: str, version: int, warnings: tuple[str, ...]) -> PutJobResponse:
    return PutJobResponse(job_id=job_id, evaluation_id=evaluation_id(job_id, version, 0), warnings=warnings or None)


async def _find_same(orch: Orchestrator, wanted: Submission | None) -> Submission | None:
    """Find what became of the same submission. Raises Conflict where its token came with another one."""
    found = await orch.store.find_submission(wanted.namespace, wanted.token) if wanted else None
    if found and wanted and found.digest != wanted.digest:
        raise Conflict(
            f"idempotency token '{wanted.token}' was used in namespace {wanted.namespace} for another request, which"
            f" made job {found.job_id}",
            hint="send each new request with a new token",
        )
    return found


def prepare_job(orch: Orchestrator, job: Job, client: str, instance: str) -> tuple[Job, list[str]]:
    """The job as it will be stored, and the warnings; raises BadRequest with every problem."""
    complete, notes = _completed(orch, job)
    problems = _problems(orch, complete)
    unused = unused_params(complete, orch.checks.params)
    if problems:  # a parameter that is missing may stand there under another name
        raise BadRequest([*problems, *unused], component="APIServer")
    notes = [*notes, *list_overlaps(complete, orch.checks.overlaps)[1]]
    notes += [f"no result is used again: {doubt} ({CURE})" for doubt in doubts_of(orch, complete)]
    job_id = complete.id or new_job_id()
    meta = dict(complete.meta or {}) | {
        "bacalhau.org/orchestrator.id": orch.node_id,
        "bacalhau.org/requester.id": orch.node_id,
    }
    meta |= {key: value for key, value in ((CLIENT_META, client), (INSTANCE_META, instance)) if value}
    return msgspec.structs.replace(complete, id=job_id, name=complete.name or job_id, meta=meta), [*notes, *unused]


def job_problems(orch: Orchestrator, job: Job) -> list[str]:
    """Every problem of a job as it was sent."""
    return _problems(orch, _completed(orch, job)[0])


def _completed(orch: Orchestrator, job: Job) -> tuple[Job, list[str]]:
    clean, notes = sanitized(normalized(job))
    return orch.fill_defaults(clean), notes


def _problems(orch: Orchestrator, job: Job) -> list[str]:
    known = orch.checks
    found = validate_job(job, known.engines, known.sources, known.publishers, known.whole, known.divides)
    return found or list_overlaps(job, known.overlaps)[0] or _over_quota(orch, job)


def _over_quota(orch: Orchestrator, job: Job) -> list[str]:
    """Say what of a job can never be within the quota of its namespace; a service runs all its partitions at the same
    time.
    """
    allowance, count = orch.cluster.quotas.allowance(job.namespace), job.wanted if job.type == "service" else 1
    excess = allowance.find_excess(needed_resources(job), max(1, count))
    each = f"{count} times the task" if count > 1 else "the task"
    return [f"{each} {excess}: {allowance.cure}"] if excess else []


async def find_namesake(orch: Orchestrator, job: Job) -> JobView | None:
    """Find the stored job of the same name and namespace. Return None where there is none."""
    try:
        found = await read_view(orch, job.name, job.namespace)
    except (NotFound, Conflict):
        return None
    return found if (found.job.name, found.job.namespace) == (job.name, job.namespace) else None


def _create(job: Job) -> Decision:
    now = now_ns()
    state = JobState(state_type=JobStateType.PENDING)
    new = msgspec.structs.replace(job, state=state, version=1, revision=1, create_time=now, modify_time=now)
    return Decision(new, submission_entry(new, "Job submitted", now))


def _update(view: JobView, job: Job, force: bool) -> Decision:
    existing = view.job
    if job.type != existing.type:
        text = f"job {existing.name} is of type {existing.type} and cannot become one of type {job.type}"
        raise Conflict(text, hint="give the new job another name")
    if not force and same_spec(existing, job):
        text = f"no changes detected for new job spec. Job Name: '{existing.name}', Job Id: '{existing.id}'"
        raise Conflict(text, hint=FORCE_HINT)
    changed = next_version(existing, job, "Job update requested by user")
    return Decision(changed, submission_entry(changed, "Job updated", changed.modify_time), view)


def next_version(existing: Job, job: Job, why: str) -> Job:
    """The stored job with what `job` asks for, to be run from the beginning."""
    now = now_ns()
    return msgspec.structs.replace(
        existing.moved(JobStateType.PENDING, now, why),
        priority=job.priority,
        count=1 if job.auto_count else job.count,
        auto_count=job.auto_count,
        constraints=job.constraints,
        meta=job.meta,
        labels=job.labels,
        tasks=job.tasks,
        reuse=unlooked(job.reuse),
        version=existing.version + 1,
        submit_time=now,
        inventory=None,
    )


def submission_entry(job: Job, text: str, now: int, **details: str) -> HistoryEntry:
    return HistoryEntry(
        job_id=job.id, job_version=job.version, event=make_event(Topic.SUBMISSION, text, now, **details)
    )


async def stop_job(orch: Orchestrator, job_id: str, namespace: str, reason: str) -> StopJobResponse:
    """Stop a job. Raises NotFound, and Conflict for a job that has ended otherwise than by a stop."""

    async def decide() -> Decision | None:
        view = await read_view(orch, job_id, namespace)
        state = view.job.state.state_type
        if state == JobStateType.STOPPED:
            return None
        if view.job.is_done:
            raise Conflict(f"cannot stop job in state {state}")
        reach(Point.STOPPING)
        return _stop(view, reason)

    decision = await change_job(orch, job_id, decide)
    reach(Point.STOPPED)
    return StopJobResponse(evaluation_id=evaluation_of(decision.before) if decision and decision.before else "")


def _stop(view: JobView, reason: str) -> Decision:
    now = now_ns()
    text = "Job requested to stop before completion"
    event = make_event(Topic.SCHEDULING, text, now, NewState="Stopped", Reason=reason)
    entry = HistoryEntry(job_id=view.job.id, job_version=view.job.version, event=event)
    return Decision(view.job.moved(JobStateType.STOPPED, now, reason), entry, view)
