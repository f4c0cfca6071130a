"""The result a job would have now: the scheduler's own plan and every node's own answer, with nothing changed."""

import logging

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import EVERYWHERE, Job, JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.models.wire.api import ExplainJobResponse, NodeAnswer, Placement
from bacalhau.models.wire.messages import ResolveInputsRequest, ResolveInputsResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import context_of
from bacalhau.orchestrator.evaluation.locating import ask_nodes, located_inputs, nodes_to_ask, sum_up
from bacalhau.orchestrator.jobs.change import read_view
from bacalhau.orchestrator.jobs.submit import prepare_job
from bacalhau.orchestrator.scheduling.place import match_candidate, needed_resources
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.steps import Context, find_all_bars
from bacalhau.orchestrator.scheduling.view import Plan
from bacalhau.orchestrator.state.line import Standing

log = logging.getLogger(__name__)


async def explain_new(orch: Orchestrator, job: Job, warnings: tuple[str, ...]) -> ExplainJobResponse:
    """Explain a job as if it were submitted now. Raises BadRequest with every problem."""
    ready, notes = prepare_job(orch, job, "", "")
    now = now_ns()
    new = replace(
        ready, version=1, revision=1, create_time=now, modify_time=now, state=JobState(state_type=JobStateType.PENDING)
    )
    answer = await _explain(orch, JobView(new, ()))
    return replace(answer, job_id="", warnings=(*warnings, *notes) or None)


async def explain_stored(orch: Orchestrator, job_id: str, namespace: str) -> ExplainJobResponse:
    """Explain a stored job as it is now. Raises NotFound."""
    view = await read_view(orch, job_id, namespace)
    answer = await _explain(orch, view)
    standing = orch.queue.standing(view.job.id)
    return (
        answer
        if standing is None
        else replace(answer, queue_position=standing.position, turn=_turn(view.job, standing))
    )


def _turn(job: Job, standing: Standing) -> str:
    """Say what the job's place in the queue follows from."""
    raised = f", raised to {standing.level} by waiting" if standing.level > job.priority else ""
    return (
        f"priority {job.priority}{raised}; namespace {job.namespace} has {standing.share:.0%} of the nodes at weight"
        f" {standing.weight:g}"
    )


async def _explain(orch: Orchestrator, view: JobView) -> ExplainJobResponse:
    """Nodes are asked anew which inputs they have."""
    job = view.job
    inputs = [] if job.type in EVERYWHERE else located_inputs(orch, job)
    found = await ask_nodes(orch, nodes_to_ask(orch, job), [item.source for item in inputs]) if inputs else {}
    answer = explain_view(view, context_of(orch, job)._replace(holders=sum_up(found)))
    holds = {
        node_id: tuple(item.target for item, place in zip(inputs, places, strict=True) if place.here)
        for node_id, places in found.items()
    }
    told = replace(answer, nodes=tuple(replace(node, holds=holds.get(node.node_id, ())) for node in answer.nodes))
    return await _with_inputs(orch, job, told)


async def _with_inputs(orch: Orchestrator, job: Job, answer: ExplainJobResponse) -> ExplainJobResponse:
    """The first node that runs the job, or could, is asked what its inputs hold.

    Without one, or an answer, that stays unknown.
    """
    inputs = job.task.input_sources or ()
    able = [place.node_id for place in answer.places] + [node.node_id for node in answer.nodes if node.fits]
    native = [node_id for node_id in able if (node := orch.cluster.get(node_id)) and node.native]
    if not inputs or not native:
        return answer
    try:
        found = await orch.bus.ask(native[0], ResolveInputsRequest(inputs=inputs))
    except BacalhauError as e:
        log.info("node %s did not say what inputs hold: %s", native[0], e)
        return answer
    return (
        replace(answer, node_id=native[0], inputs=found.inputs) if isinstance(found, ResolveInputsResponse) else answer
    )


def explain_view(view: JobView, around: Context) -> ExplainJobResponse:
    job = view.job
    plan = plan_job(view, around)
    after = plan.job or job
    need = needed_resources(job)
    current = view.current()
    bars = find_all_bars(view, around)
    refusals = [
        (candidate.node_id, match_candidate(job, need, around.candidates, candidate, bars))
        for candidate in around.candidates
    ]
    ended = {e.id for e in plan.cancels + plan.updates}
    live = (
        Placement(node_id=e.node_id, partition_index=e.partition_index, execution_id=e.id)
        for e in current
        if e.is_live and e.id not in ended
    )
    asked = (Placement(node_id=e.node_id, partition_index=e.partition_index) for e in plan.asks)
    nodes = (
        NodeAnswer(node_id=i, fits=r is None, never=r is not None and r.never, reason=r.reason if r else "")
        for i, r in refusals
    )
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
