"""Asks nodes which inputs of a job they have already, before it is placed: many jobs in one question, and nobody waits
long for an answer.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.wire import encode
from bacalhau.models.job.job import EVERYWHERE, InputSource, Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import InputPresence, LocateInputsRequest, LocateInputsResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.scheduling.place import list_able, needed_resources
from bacalhau.orchestrator.scheduling.view import HERE, Holders
from bacalhau.orchestrator.state.locality import Question

PATIENCE = 1.0  # seconds, for all nodes together
NODES_AT_ONCE = 64
SOURCES_AT_ONCE = 256
CACHES = 64  # nodes that are asked what is in their cache
log = logging.getLogger(__name__)


def must_ask(orch: Orchestrator, job: Job) -> bool:
    """Tell whether nodes must be asked about inputs first. They are asked, and then the job is evaluated again.

    What runs everywhere goes where no data is, too.
    """
    if not job.task.input_sources or job.is_done or job.type in EVERYWHERE:
        return False
    sources = tuple(item.source for item in located_inputs(orch, job))
    nodes = orch.locality.unasked(job, nodes_with_inputs(orch, job)) if sources else None
    if nodes:
        orch.locality.put(job.id, Question(job.version, sources, nodes))
    return bool(nodes)


def located_inputs(orch: Orchestrator, job: Job) -> list[InputSource]:
    """List the inputs that one node may have and another not, also in its cache."""
    kinds = orch.checks.located | orch.checks.listed
    return [item for item in job.task.input_sources or () if item.source.kind in kinds]


def nodes_with_inputs(orch: Orchestrator, job: Job) -> list[str]:
    """Name the nodes that are asked which inputs of a job they have: all where one may lie there as it is, else those
    with the largest caches.
    """
    able = nodes_to_ask(orch, job)
    if any(item.source.kind in orch.checks.located for item in job.task.input_sources or ()):
        return able
    return orch.cluster.largest_caches(able, CACHES)


def nodes_to_ask(orch: Orchestrator, job: Job) -> list[str]:
    """Connected nodes of our make that could ever run the job."""
    return [
        candidate.node_id
        for candidate in list_able(job, needed_resources(job), orch.cluster.candidates)
        if candidate.node.native
    ]


async def locate_forever(orch: Orchestrator) -> None:
    """One round of questions after the other; what comes meanwhile is asked together in the next."""
    while True:
        questions = orch.locality.take(SOURCES_AT_ONCE)
        if not questions:
            await orch.locality.signal.wait(60)
            continue
        sources = {encode(source): source for question in questions.values() for source in question.sources}
        nodes = frozenset[str]().union(*(question.nodes for question in questions.values()))
        answers = await ask_nodes(orch, nodes, list(sources.values()))
        places = {node_id: dict(zip(sources, found, strict=True)) for node_id, found in answers.items()}
        for job_id, question in questions.items():
            keys = [encode(source) for source in question.sources]
            orch.locality.note(
                job_id, nodes, sum_up({node_id: [found[key] for key in keys] for node_id, found in places.items()})
            )
            orch.queue.add(job_id)


async def ask_nodes(
    orch: Orchestrator, nodes: Iterable[str], sources: Sequence[SpecConfig]
) -> dict[str, tuple[InputPresence, ...]]:
    """Ask nodes which sources they have. Return the answers that came in time, one item a source."""
    request = LocateInputsRequest(sources=tuple(sources))
    found: dict[str, tuple[InputPresence, ...]] = {}

    async def ask(node_id: str) -> None:
        try:
            answer = await orch.bus.ask(node_id, request, PATIENCE)
        except BacalhauError as e:
            log.info("node %s did not say which inputs it has: %s", node_id, e)
            return
        if isinstance(answer, LocateInputsResponse) and len(answer.places) == len(sources):
            found[node_id] = answer.places

    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await gather_bounded(NODES_AT_ONCE, [partial(ask, node_id) for node_id in nodes])
    return found


def sum_up(answers: Mapping[str, Sequence[InputPresence]]) -> Holders:
    held = {
        node_id: weight
        for node_id, places in answers.items()
        if (weight := sum(HERE if place.here else min(place.bytes, HERE - 1) for place in places))
    }
    lacking = {
        node_id: why
        for node_id, places in answers.items()
        if (why := "; ".join(place.error for place in places if place.error))
    }
    return Holders(held, lacking)
