"""The waiting line under load: jobs that end and start while thousands wait, and submissions with many nodes.

One process holds the real orchestrator and the real store; nodes are values, and the bus only counts what it is given.
Rates are per second of this process's CPU time, so that other work on the machine hardly matters.
"""

import asyncio
import gc
import json
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from bacalhau.app.collection import short_collections
from bacalhau.lib.aio import Signal, background, gather_bounded
from bacalhau.lib.clock import now_ns
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.resources import Resources, ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import CONNECTED, ComputeNodeInfo, ConnectionState, NodeInfo, NodeState
from bacalhau.models.wire.messages import RunResult
from bacalhau.orchestrator.core import Checks, Orchestrator
from bacalhau.orchestrator.evaluation.evaluator import evaluate_forever
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.ports.bus import Delivery
from bacalhau.ports.logs import Quota
from bacalhau.store.logs import FileLogs
from bacalhau.store.store import SqliteStore

NODES, WAITING, ROUNDS = 1000, 5000, 2
SUBMISSIONS = 1000
AT_ONCE = 32


async def _as_it_is(spec: SpecConfig) -> SpecConfig:
    return spec


@asynccontextmanager
async def _orchestrator(nodes: int, cpu: float) -> AsyncIterator[Orchestrator]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with SqliteStore(folder / "state.db") as store, short_collections():
            orch = Orchestrator(
                node_id="n-0",
                store=store,
                bus=None,  # type: ignore[arg-type]  # nothing is sent: the outbox is not dispatched
                content=BlockStore(folder / "content"),
                checks=Checks({"noop": lambda _: []}, {}, {}),
                fill_defaults=lambda job: job,
                presign=_as_it_is,
                cluster=Cluster(1_000_000_000),
                gate=Gate(store, ""),
                logs=LogBook(FileLogs(folder / "logs", Quota()), 0),
            )
            size = Resources(cpu=cpu, memory=10**10, disk=10**11)
            for number in range(nodes):
                compute = ComputeNodeInfo(execution_engines=("noop",), max_capacity=size, max_job_requirements=size)
                info = NodeInfo(node_id=f"n-{number:05d}", compute_node_info=compute)
                orch.cluster.put(NodeState(info=info, connection_state=ConnectionState(status=CONNECTED)), now_ns())
            async with background(evaluate_forever(orch)):
                yield orch


async def _submit(orch: Orchestrator, number: int) -> None:
    task = Task(name="main", engine=SpecConfig(type="noop"), resources=ResourcesConfig(cpu="1", memory="1mb"))
    job = Job(name=f"job-{number}", namespace="default", type="batch", count=1, tasks=(task,))
    await submit_job(orch, job, force=False, warnings=())


async def _submit_many(orch: Orchestrator, count: int, first: int = 0) -> None:
    await gather_bounded(AT_ONCE, [partial(_submit, orch, number) for number in range(first, first + count)])


async def _until_idle(orch: Orchestrator) -> None:
    while not orch.queue.is_idle or orch.placing:
        await Signal().wait(0.01)


async def _end(orch: Orchestrator, node_id: str) -> None:
    """End the only execution of a node."""
    (execution_id,), (job_id,) = orch.cluster.held_on(node_id), orch.cluster.jobs_on(node_id)
    told = RunResult(execution_id=execution_id, job_id=job_id)
    await on_message(orch, Delivery(node_id, "RunResult", told))


class Steps:
    """The longest CPU time for which the event loop was kept from other work, and of that the longest of Python's
    garbage collections, in ms.
    """

    def __init__(self) -> None:
        self.longest = self.collection = self._collecting = self._began = 0.0

    def on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
            return
        took = (time.thread_time() - self._began) * 1000
        self._collecting += took
        self.collection = max(self.collection, took)

    async def watch_forever(self) -> None:
        gc.callbacks.append(self.on_collection)
        try:
            while True:
                before, self._collecting = time.thread_time(), 0.0
                await asyncio.sleep(0)
                self.longest = max(self.longest, (time.thread_time() - before) * 1000 - self._collecting)
        finally:
            gc.callbacks.remove(self.on_collection)


async def measure_line() -> dict[str, float]:
    """Count jobs that end and are followed by the next one, with 1,000 full nodes and 5,000 jobs that wait.

    The steps are watched in a second round, because watching costs time itself.
    """
    async with _orchestrator(NODES, 1.0) as orch:
        await _submit_many(orch, NODES + WAITING)
        await _until_idle(orch)
        began, wall = time.process_time(), time.perf_counter()
        for _ in range(ROUNDS):
            await _end_all(orch)
        used, wall = time.process_time() - began, time.perf_counter() - wall
        steps = Steps()
        async with background(steps.watch_forever()):
            await _end_all(orch)
        return {
            "ends_and_starts_per_cpu_second": ROUNDS * NODES / used,
            "per_second": ROUNDS * NODES / wall,
            "longest_step_ms": steps.longest,
            "longest_collection_ms": steps.collection,
            "waiting_after": orch.queue.waiting,
        }


async def _end_all(orch: Orchestrator) -> None:
    """End what runs on each node, and wait until the next ones have started."""
    await gather_bounded(AT_ONCE, [partial(_end, orch, node.info.node_id) for node in orch.cluster.nodes()])
    await _until_idle(orch)


async def measure_submission(nodes: int) -> float:
    """Measure CPU milliseconds of a submission with its placement, where there is room."""
    async with _orchestrator(nodes, 16.0) as orch:
        await _submit_many(orch, 50)
        began = time.process_time()
        await _submit_many(orch, SUBMISSIONS, 50)
        await _until_idle(orch)
        return (time.process_time() - began) * 1000 / SUBMISSIONS


def measure() -> dict[str, float]:
    figures = asyncio.run(measure_line())
    for nodes in (100, 1000, 10_000):
        figures[f"submission_ms_{nodes}_nodes"] = asyncio.run(measure_submission(nodes))
    return figures


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print(json.dumps(measure(), indent=1))
