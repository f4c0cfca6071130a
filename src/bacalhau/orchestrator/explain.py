"""What a job would lead to now: the scheduler's own plan and every node's own answer, with nothing changed."""

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.models.api import ExplainJobResponse, NodeAnswer, Place
from bacalhau.models.job import Job, JobState
from bacalhau.models.job_state import JobStateType
from bacalhau.orchestrator.evaluator import context_of
from bacalhau.orchestrator.scheduling.place import match_seat, needed_resources
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.steps import Context, find_bars
from bacalhau.orchestrator.scheduling.view import Plan
from bacalhau.orchestrator.service import Orchestrator
from bacalhau.orchestrator.submit import prepare_job
from bacalhau.ports.store import JobView


async def explain_new(orch: Orchestrator, job: Job, warnings: tuple[str, ...]) -> ExplainJobResponse:
    """As if it were submitted now. Raises BadRequest with every problem."""
    ready, notes = prepare_job(orch, job, "", "")
    now = now_ns()
    new = replace(ready, version=1, revision=1, create_time=now, modify_time=now, state=JobState(state_type=JobStateType.PENDING))
    answer = explain_view(JobView(new, ()), context_of(orch))
    return replace(answer, job_id="", warnings=(*warnings, *notes) or None)


async def explain_stored(orch: Orchestrator, job_id: str, namespace: str) -> ExplainJobResponse:
    """Of a job that is there. Raises NotFound."""
    job = await orch.store.find_job(job_id, namespace)
    views = await orch.store.load_views([job.id])
    return replace(explain_view(views[job.id], context_of(orch)), queue_position=orch.queue.position(job.id))


def explain_view(view: JobView, around: Context) -> ExplainJobResponse:
    job = view.job
    plan = plan_job(view, around)
    after = plan.job or job
    need = needed_resources(job)
    current = [e for e in view.executions if e.job_version == job.version]
    bars = find_bars(job, current, around)
    refusals = [(seat.node_id, match_seat(job, need, around.seats, seat, bars)) for seat in around.seats]
    ended = {e.id for e in plan.cancels + plan.updates}
    live = (Place(node_id=e.node_id, partition_index=e.partition_index, execution_id=e.id) for e in current if e.is_live and e.id not in ended)
    asked = (Place(node_id=e.node_id, partition_index=e.partition_index) for e in plan.asks)
    nodes = (NodeAnswer(node_id=i, fits=r is None, never=r is not None and r.never, reason=r.reason if r else "") for i, r in refusals)
    return ExplainJobResponse(
        job_id=job.id,
        job_version=job.version,
        state=after.state.state_type,
        message=plan.waiting or after.state.message,
        hint=_hint(plan),
        needs=need,
        places=(*live, *asked),
        nodes=tuple(nodes),
    )


def _hint(plan: Plan) -> str:
    return next((hint for entry in plan.history if (hint := (entry.event.details or {}).get("Hint", ""))), "")
