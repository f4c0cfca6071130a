"""The result a job would have now: the scheduler's own plan and every node's own answer, with nothing changed."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.inventory import Inventory
from bacalhau.models.job.job import EVERYWHERE, Job, JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.models.wire.api import ExplainJobResponse, NodeAnswer, NodeCounts, Placement
from bacalhau.models.wire.messages import InputAnswer, InputPresence, ResolveInputsRequest, ResolveInputsResponse
from bacalhau.models.wire.paging import PagingToken
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import context_of
from bacalhau.orchestrator.evaluation.inventory import show_listing
from bacalhau.orchestrator.evaluation.locating import ask_nodes, located_inputs, nodes_with_inputs, sum_up
from bacalhau.orchestrator.evaluation.pinning import pin_inputs, with_links
from bacalhau.orchestrator.evaluation.preview import Preview, preview_inputs
from bacalhau.orchestrator.jobs.change import read_view
from bacalhau.orchestrator.jobs.submit import prepare_job
from bacalhau.orchestrator.scheduling.place import Fit, Matching, needed_resources
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.steps import NOTHING, Awaits, Context, find_all_bars, nearness_of
from bacalhau.orchestrator.scheduling.view import Candidate, Nearness, Plan
from bacalhau.orchestrator.state.line import Standing

log = logging.getLogger(__name__)


SHOWN = 100  # nodes, and places, in an answer unless another number is asked for
STEP = 500  # nodes that are judged in one step of the event loop: some 2 ms


class Page(NamedTuple):
    """The part of the nodes that is answered: at most `limit`, after the place (class, node id) of the last one."""

    limit: int = SHOWN
    after: tuple[int, str] = (-1, "")


FIRST = Page()


class Survey(NamedTuple):
    """The answers of all nodes by class. `shown` are the places of a page, `has_more` tells whether others follow.
    `able` is the first node of our make that takes the job now, "" where there is none.
    """

    counts: NodeCounts
    shown: Sequence[tuple[int, str]]
    has_more: bool
    able: str


async def explain_new(
    orch: Orchestrator, job: Job, warnings: tuple[str, ...], page: Page = FIRST
) -> ExplainJobResponse:
    """Explain a job as if it were submitted now. Raises BadRequest with every problem."""
    ready, notes = prepare_job(orch, job, "", "")
    pinned = await pin_inputs(orch, ready)
    now = now_ns()
    new = replace(
        pinned.job,
        version=1,
        revision=1,
        create_time=now,
        modify_time=now,
        state=JobState(state_type=JobStateType.PENDING),
    )
    preview = await preview_inputs(orch, new) if page.after == FIRST.after else Preview()
    listed = replace(new, inventory=Inventory(regions=preview.regions), count=preview.auto_count or new.count)
    answer = await _explain(orch, JobView(listed, ()), page, preview, Awaits(pinned.awaits))
    return replace(answer, job_id="", warnings=(*warnings, *notes) or None)


async def explain_stored(orch: Orchestrator, job_id: str, namespace: str, page: Page = FIRST) -> ExplainJobResponse:
    """Explain a stored job as it is now. Raises NotFound."""
    view = await read_view(orch, job_id, namespace)
    preview = await preview_inputs(orch, view.job) if page.after == FIRST.after else Preview()
    answer = await _explain(orch, view, page, preview)
    if listing := show_listing(orch, view.job.id):
        answer = replace(answer, message=listing)
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


async def _explain(
    orch: Orchestrator, view: JobView, page: Page, preview: Preview, awaits: Awaits = NOTHING
) -> ExplainJobResponse:
    """Nodes are asked anew which inputs they have. All nodes are judged, and those of the page answer in words."""
    job = view.job
    inputs = [] if job.type in EVERYWHERE else located_inputs(orch, job)
    found = await ask_nodes(orch, nodes_with_inputs(orch, job), [item.source for item in inputs]) if inputs else {}
    holders = sum_up(found)
    around = context_of(orch, job)._replace(holders=holders)
    around = around if awaits == NOTHING else around._replace(awaits=awaits)
    bars = find_all_bars(view, around)
    matching = Matching(job, needed_resources(job), orch.cluster.candidates, bars)
    survey = await _survey(orch, matching, page)
    answer = explain_view(view, around, page.limit)
    targets, known = [item.target for item in inputs], orch.cluster.candidates.by_id
    near = nearness_of(job, around)
    words = (_word(matching, known[node_id]) for _, node_id in survey.shown if node_id in known)
    told = replace(
        answer,
        nodes=tuple(_add_inputs(word, targets, found.get(word.node_id, ()), near) for word in words),
        node_counts=survey.counts,
        next_token=_token(page, survey),
    )
    return await _with_inputs(orch, told, preview, job, survey.able) if page.after == FIRST.after else told


async def _survey(orch: Orchestrator, matching: Matching, page: Page) -> Survey:
    """Judge all nodes, some at a time, so that everybody else waits for a few only."""
    known, found, able = orch.cluster.candidates.by_id, list[tuple[int, str]](), ""
    ids = list(known)
    for start in range(0, len(ids), STEP):
        for candidate in filter(None, map(known.get, ids[start : start + STEP])):
            fit = matching.judge(candidate)
            found.append((fit.value, candidate.node_id))
            if fit == Fit.NOW and not able and candidate.node.native:
                able = candidate.node_id
        await asyncio.sleep(0)
    shown = nsmallest(page.limit + 1, (place for place in found if place > page.after))
    by_class = Counter(fit for fit, _ in found)
    counts = NodeCounts(
        fits=by_class[Fit.NOW], not_now=by_class[Fit.BUSY] + by_class[Fit.AWAY], never=by_class[Fit.NEVER]
    )
    return Survey(counts, shown[: page.limit], len(shown) > page.limit, able)


def _word(matching: Matching, candidate: Candidate) -> NodeAnswer:
    refusal = matching.refuse(candidate)
    if refusal is None:
        return NodeAnswer(node_id=candidate.node_id, fits=True)
    return NodeAnswer(node_id=candidate.node_id, never=refusal.never, reason=refusal.reason)


def _add_inputs(
    word: NodeAnswer, targets: Sequence[str], places: Sequence[InputPresence], near: Nearness
) -> NodeAnswer:
    """Add to a node's answer what it has of the inputs, and whether it is in their region."""
    holds = tuple(target for target, place in zip(targets, places, strict=False) if place.here)
    size = sum(place.bytes for place in places)
    return replace(word, holds=holds, bytes_held=size, is_near=word.node_id in near.nodes)


def _token(page: Page, survey: Survey) -> str:
    if not survey.has_more:
        return ""
    fit, node_id = survey.shown[-1]
    return PagingToken(limit=page.limit, key=str(fit), id=node_id).encoded()


async def _with_inputs(
    orch: Orchestrator, answer: ExplainJobResponse, preview: Preview, job: Job, able: str
) -> ExplainJobResponse:
    """Add what the inputs hold: those that are listed by a preview, and for others the node that lists, runs the job or
    could, is asked. Without one, or an answer, that stays unknown.
    """
    inputs = job.task.input_sources or ()
    others = {index: item for index, item in enumerate(inputs) if index not in preview.inputs}
    running = (place.node_id for place in answer.places)
    nodes = (preview.node_id, *running, able)
    node_id = next((node_id for node_id in nodes if (node := orch.cluster.get(node_id)) and node.native), "")
    found = dict(preview.inputs)
    if node_id and others:
        question = ResolveInputsRequest(inputs=tuple(others.values()), namespace=job.namespace)
        found |= zip(others, await _resolve(orch, node_id, question), strict=False)
    if not found:
        return answer
    return replace(
        answer,
        node_id=preview.node_id or node_id,
        inputs=tuple(found[index] for index in sorted(found)),
        shares=preview.shares,
        retry_bytes=_count_again(preview, found),
        count=preview.auto_count,
        count_is_cut=preview.count_is_cut,
    )


async def _resolve(orch: Orchestrator, node_id: str, question: ResolveInputsRequest) -> tuple[InputAnswer, ...]:
    try:
        found = await orch.bus.ask(node_id, await with_links(orch, question))
    except BacalhauError as e:
        log.info("node %s did not say what inputs hold: %s", node_id, e)
        return ()
    return found.inputs if isinstance(found, ResolveInputsResponse) else ()


def _count_again(preview: Preview, found: Mapping[int, InputAnswer]) -> int:
    """Count the bytes that another attempt at the largest share fetches again."""
    shared = preview.inputs if preview.shares else {}
    rest = sum(each.bytes for index, each in found.items() if index not in shared and not each.is_in_place)
    return rest + (preview.shares.largest.bytes if preview.shares else 0)


def explain_view(view: JobView, around: Context, limit: int = SHOWN) -> ExplainJobResponse:
    """Explain what an evaluation of a job would lead to, with the first `limit` of its places."""
    job = view.job
    plan = plan_job(view, around)
    after = plan.job or job
    ended = {e.id for e in plan.cancels + plan.updates}
    live = [e for e in view.live_current() if e.id not in ended]
    places = (
        *(
            Placement(node_id=e.node_id, partition_index=e.partition_index, execution_id=e.id)
            for e in nsmallest(limit, live, key=lambda e: e.partition_index)
        ),
        *(Placement(node_id=e.node_id, partition_index=e.partition_index) for e in plan.asks),
    )
    return ExplainJobResponse(
        job_id=job.id,
        job_version=job.version,
        state=after.state.state_type,
        message=plan.waiting or after.state.message,
        hint=_hint(plan),
        needs=needed_resources(job),
        places=places[:limit],
        place_count=len(live) + len(plan.asks),
    )


def _hint(plan: Plan) -> str:
    return next((hint for entry in plan.history if (hint := (entry.event.details or {}).get("Hint", ""))), "")
