"""Versions of a job: what a new one would change, and running an old one again."""

import difflib

import msgspec
import yaml

from bacalhau.lib.errors import BadRequest, Conflict, NotFound
from bacalhau.lib.ids import evaluation_id
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import SERVERS_KEYS, Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.job.taken import unpinned
from bacalhau.models.job.validate import strip_job
from bacalhau.models.wire.api import DiffJobResponse, RerunJobResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.jobs.change import Decision, change_job, read_view
from bacalhau.orchestrator.jobs.late import Late, is_there, list_kept, publish_late
from bacalhau.orchestrator.jobs.submit import find_namesake, next_version, prepare_job, submission_entry

RERUN = "job rerun"


async def diff_job(orch: Orchestrator, job: Job, warnings: tuple[str, ...]) -> DiffJobResponse:
    """Against the stored job of its name. Raises BadRequest and NotFound."""
    if not job.name.strip():
        raise BadRequest("invalid job spec: name is missing", component="APIServer")
    ready, notes = prepare_job(orch, job, "", "")
    existing = await find_namesake(orch, ready)
    if existing is None:
        raise NotFound(f"job not found: {ready.name}", component="JobStore")
    return DiffJobResponse(diff=show_difference(existing.job, ready), warnings=(*warnings, *notes) or None)


def show_difference(old: Job, new: Job) -> str:
    """List the lines that differ between two specs of a job; "" when none do."""
    before, after = _lines(old), _lines(new)
    return "\n".join(difflib.unified_diff(before, after, f"version {old.version}", "submitted", lineterm=""))


def _lines(job: Job) -> list[str]:
    asked = {key: value for key, value in msgspec.to_builtins(strip_job(job)).items() if key not in SERVERS_KEYS}
    return str(yaml.safe_dump(asked, allow_unicode=True, width=1000)).splitlines()


async def rerun_job(
    orch: Orchestrator, job_id: str, namespace: str, version: int, reason: str, *, same_inputs: bool = False
) -> RerunJobResponse:
    """Run a version (0: the latest) again, as a new one. Raises NotFound, and Conflict for a job that has
    not run yet.

    `same_inputs`: with what the inputs held for that version. Raises Conflict where that is not known any more.
    """

    async def decide() -> Decision:
        decision = await _next_run(orch, job_id, namespace, version, reason)
        return await _with_inputs(orch, decision, version) if same_inputs else decision

    changed = (await change_job(orch, job_id, decide)).job
    return RerunJobResponse(
        job_id=changed.id,
        job_version=changed.version,
        evaluation_id=evaluation_id(changed.id, changed.version, 0),
    )


async def _next_run(orch: Orchestrator, job_id: str, namespace: str, version: int, reason: str) -> Decision:
    view = await read_view(orch, job_id, namespace)
    job = view.job
    if job.state.state_type in (JobStateType.PENDING, JobStateType.QUEUED, JobStateType.UNDEFINED):
        text = f"cannot rerun job in state {job.state.state_type}"
        raise Conflict(
            text, hint="it will run as soon as a node takes it; stop it first to begin again", component="JobStore"
        )
    wanted = await _version_of(orch, job, version)
    changed = next_version(job, unpinned(wanted), RERUN)
    entry = submission_entry(changed, "Job rerun requested", changed.modify_time, Reason=reason or RERUN)
    return Decision(changed, entry, view, _first_step(orch, view, changed) if wanted is job else Late())


async def _version_of(orch: Orchestrator, job: Job, version: int) -> Job:
    return job if version in (0, job.version) else await orch.store.get_job_version(job.id, version)


async def _with_inputs(orch: Orchestrator, decision: Decision, version: int) -> Decision:
    """Have a run read the objects of an earlier one."""
    before = await _version_of(orch, (decision.before or JobView(decision.job, ())).job, version)
    inventory = before.inventory
    if inventory is None or not inventory.root or not await orch.inventories.names_of(inventory.root):
        raise Conflict(
            f"no list of the inputs of job {before.id}, version {before.version} is held",
            hint="run it again without --same-inputs: its inputs are listed anew",
        )
    count = inventory.count or decision.job.count
    job = msgspec.structs.replace(decision.job, tasks=before.tasks, inventory=inventory, count=count)
    return decision._replace(job=job)


def _first_step(orch: Orchestrator, view: JobView, changed: Job) -> Late:
    """Plan the first step of a run of the same version: what was computed and is kept is published, not computed
    again.
    """
    now = changed.modify_time
    kept = filter(is_there(orch), list_kept(view, now))
    return publish_late(kept, changed, changed.task.publisher or SpecConfig(), now, may_run_again=True)
