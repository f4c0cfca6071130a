"""`job publish`: a job that has ended gets the results that were computed and could not be published at first."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, Conflict, NotFound, Unavailable
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.api import PublishJobRequest, PublishJobResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.jobs.change import Decision, change_job, read_view
from bacalhau.orchestrator.jobs.late import is_there, list_kept, publish_late
from bacalhau.orchestrator.jobs.submit import prepare_job, submission_entry


async def publish_job(
    orch: Orchestrator, job_id: str, namespace: str, request: PublishJobRequest
) -> PublishJobResponse:
    """Have nodes publish the outputs that they kept of a job, to its own publisher or to another one.

    Raises Conflict for a job that has not ended, NotFound where nothing is kept, Unavailable where the nodes that keep
    it are away, BadRequest for a publisher that cannot be used.
    """

    async def decide() -> Decision:
        view = await read_view(orch, job_id, namespace)
        job, now = view.job, now_ns()
        if not job.is_done:
            raise Conflict(
                f"job {short_id(job.id)} is {job.state.state_type}: outputs are published when it has ended",
                hint=f"wait for its end, or stop it first: bacalhau job stop {job.id}",
                component="JobStore",
            )
        chosen = _choose(list_kept(view, now), request.execution_id, job, is_there(orch))
        publisher = _read_publisher(orch, job, request.publisher)
        noted = replace(job, revision=job.revision + 1, modify_time=now)
        entry = submission_entry(noted, "Publishing of kept outputs requested", now)
        return Decision(noted, entry, view, publish_late(chosen, noted, publisher, now))

    decision = await change_job(orch, job_id, decide)
    return PublishJobResponse(job_id=decision.job.id, executions=tuple(e.id for e in decision.late.executions))


def _choose(
    kept: Sequence[Execution], execution_id: str, job: Job, is_connected: Callable[[Execution], bool]
) -> list[Execution]:
    """Choose what can be published now of what is kept. Raises NotFound and Unavailable."""
    wanted = [execution for execution in kept if execution.id.startswith(execution_id)]
    if not wanted:
        what = f"execution {execution_id}" if execution_id else f"job {short_id(job.id)}"
        raise NotFound(
            f"no node keeps outputs of {what} that are not published",
            hint=f"`bacalhau job executions {job.id}` shows what there is; `bacalhau job rerun {job.id}` runs it again",
            component="JobStore",
        )
    there = [execution for execution in wanted if is_connected(execution)]
    if not there:
        away = ", ".join(f"{short_id(e.node_id)} (it keeps {short_id(e.id)} until {e.kept_until})" for e in wanted)
        raise Unavailable(f"the node is away: {away}", hint="try again when it is back: bacalhau node list")
    return there


def _read_publisher(orch: Orchestrator, job: Job, given: SpecConfig | None) -> SpecConfig:
    """Read a publisher as a job of this kind could name it; the job's own where none is given. Raises BadRequest."""
    if given is None or not given.type:
        return job.task.publisher or SpecConfig()
    changed = replace(job, tasks=(replace(job.task, publisher=given),))
    ready, _ = prepare_job(orch, changed, "", "")
    if not ready.task.publisher_type or ready.task.publisher is None:
        raise BadRequest(f"publisher {given.type} keeps nothing", hint="name another one: -p s3://BUCKET/KEY")
    return ready.task.publisher
