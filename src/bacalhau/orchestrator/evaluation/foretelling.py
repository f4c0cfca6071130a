"""Tells nodes that are full whose inputs they may need next, so that they bring them while others run.

It is a hint: nothing waits for it, and nothing is lost where it does not come. Nodes are told again when it changes, so
a job that is cancelled, or a node that takes nothing more, ends what is on its way.
"""

import asyncio
import logging
import time
from functools import partial
from itertools import islice

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import EVERYWHERE, Job, Task
from bacalhau.models.node.node import CONNECTED
from bacalhau.models.wire.messages import PrefetchPiece, PrefetchRequest
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.scheduling.place import list_able
from bacalhau.orchestrator.state.foretold import MOST, NONE, Piece, share_out
from bacalhau.orchestrator.state.line import Waiting

EVERY = 1.0  # seconds
PART = 20  # the pause is at least so many times as long as it took to decide
FRONT = 8  # jobs that wait and are considered
LARGEST = 100_000  # bytes of a job's inputs that are told
PATIENCE = 5.0  # seconds
NODES_AT_ONCE = 16
log = logging.getLogger(__name__)


async def foretell_forever(orch: Orchestrator) -> None:
    """Tell nodes what comes next whenever that has changed, looking each second, or less often where many nodes would
    make that dear.
    """
    pause = EVERY
    while True:
        await asyncio.sleep(pause)
        if orch.queue.waiting or orch.foretold.told:
            try:
                pause = max(EVERY, PART * await foretell(orch))
            except Unavailable as e:
                log.debug("nodes are told later what comes next: %s", e)


async def foretell(orch: Orchestrator) -> float:
    """Decide once what comes next, and tell the nodes for which that has changed. Return the seconds that it took to
    decide. Raises Unavailable.
    """
    began = time.perf_counter()
    front = orch.queue.foremost(FRONT)
    views = await orch.views.load(orch.store, [waiting.job.id for waiting in front])
    await _decide(orch, [(waiting, views[waiting.job.id]) for waiting in front if waiting.job.id in views])
    jobs = {view.job.id: view.job for view in views.values()}
    for node_id in [node_id for node_id in orch.foretold.told if orch.cluster.get(node_id) is None]:
        del orch.foretold.told[node_id]
    changed = [node_id for node_id in {*orch.foretold.told, *orch.foretold.nodes} if _must_tell(orch, node_id)]
    spent = time.perf_counter() - began
    await gather_bounded(NODES_AT_ONCE, [partial(_tell, orch, node_id, jobs) for node_id in changed])
    return spent


async def _decide(orch: Orchestrator, front: list[tuple[Waiting, JobView]]) -> None:
    """Give each node up to two pieces, those of the jobs that come first."""
    coming: dict[str, set[Piece]] = {}
    for waiting, view in front:
        job = view.job
        if not _has_inputs(job):
            continue
        nodes = _nodes_for(orch, waiting, job)
        before = {
            node_id: index
            for node_id, index in orch.foretold.partitions(job.id, job.version).items()
            if view.tally.is_open(index)
        }
        opened = islice(view.tally.open_partitions(), 2 * len(nodes))
        for node_id, index in share_out(nodes, before, opened).items():
            own = coming.setdefault(node_id, set())
            if len(own) < MOST:
                own.add(Piece(job.id, job.version, index))
        await asyncio.sleep(0)  # others have a turn: there may be thousands of nodes
    orch.foretold.replace(coming, {node_id: _begun(orch, node_id) for node_id in orch.foretold.told})


def _begun(orch: Orchestrator, node_id: str) -> set[Piece]:
    """List the pieces that a node was told of and has by now. They stay, for the execution may wait for what is on its
    way.
    """
    held = {(one.job_id, one.slot) for e in orch.cluster.held_on(node_id) if (one := orch.cluster.find_held(e))}
    _, known = orch.foretold.told[node_id]
    return {piece for piece in known if (piece.job_id, piece.partition) in held}


def _has_inputs(job: Job) -> bool:
    """Tell whether a job has inputs that a hint can name."""
    inputs = job.task.input_sources
    return bool(inputs) and not job.is_done and job.type not in EVERYWHERE and len(encode(inputs)) <= LARGEST


def _nodes_for(orch: Orchestrator, waiting: Waiting, job: Job) -> list[str]:
    """Name all nodes on which a job may begin."""
    bars = waiting.bars
    barred = {*bars.refused, *bars.kept, *bars.lacking, *bars.away}
    return [
        candidate.node_id
        for candidate in list_able(job, waiting.need, orch.cluster.candidates)
        if candidate.is_well
        and not candidate.node.cordoned
        and candidate.node_id not in barred
        and (waiting.only is None or candidate.node_id in waiting.only)
    ]


def _connection(orch: Orchestrator, node_id: str) -> str:
    """Name the connection of a node of our make that is there; "" for every other."""
    node = orch.cluster.get(node_id)
    if node is None or not node.native or node.connection_state.status != CONNECTED:
        return ""
    return node.connection_state.connected_since


def _must_tell(orch: Orchestrator, node_id: str) -> bool:
    """Tell whether a node knows something else than what comes next on it, as far as it is known what it heard."""
    connection = _connection(orch, node_id)
    since, known = orch.foretold.told.get(node_id, (connection, NONE))
    return bool(connection) and (since != connection or known != orch.foretold.pieces(node_id))


async def _tell(orch: Orchestrator, node_id: str, jobs: dict[str, Job]) -> None:
    pieces, connection = orch.foretold.pieces(node_id), _connection(orch, node_id)
    order = {job_id: number for number, job_id in enumerate(jobs)}
    told = tuple(
        PrefetchPiece(job=_strip(jobs.get(piece.job_id), piece), partition=piece.partition)
        for piece in sorted(pieces, key=lambda piece: order.get(piece.job_id, FRONT))
    )
    try:
        await orch.bus.ask(node_id, PrefetchRequest(pieces=told), PATIENCE)
    except Unavailable as e:
        log.debug("node %s did not hear what comes next: %s", node_id, e)
        return
    except BacalhauError as e:  # an older node: it knows no such hints
        log.debug("node %s wants no hint: %s", node_id, e)
    if pieces:
        orch.foretold.told[node_id] = (connection, pieces)
    else:
        orch.foretold.told.pop(node_id, None)


def _strip(job: Job | None, piece: Piece) -> Job:
    """Leave of a job what its inputs are found by: who does not run it need not know the rest. A job that waits no more
    is only named.
    """
    if job is None or job.version != piece.version:
        return Job(id=piece.job_id, version=piece.version)
    return Job(
        id=job.id,
        namespace=job.namespace,
        type=job.type,
        count=job.count,
        version=job.version,
        inventory=job.inventory,
        tasks=(Task(input_sources=job.task.input_sources),),
    )
