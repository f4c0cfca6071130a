"""Simulated compute nodes: real connections, handshakes, messages and acknowledgements, but nothing runs.

A fleet is a process of its own, so that it does not take time from the server; its owner speaks with it over a pipe.
"""

import asyncio
import logging
import multiprocessing
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bacalhau.bus.node import NodeNats, node_bus
from bacalhau.compute.execution.ending import tell_cancelled
from bacalhau.lib.aio import Crew, Signal, background, crew
from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.execution.execution import Execution, RunCommandResult
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo
from bacalhau.models.node.version import this_version
from bacalhau.models.wire import messages as m
from bacalhau.ports.bus import Delivery

CAPACITY = Resources(cpu=16.0, memory=64_000_000_000, disk=100_000_000_000)
AT_ONCE = 32  # nodes that join at the same time


class Plan(NamedTuple):
    """`seconds` is how long an execution takes, negative for ever; `deaths` are nodes that die a second, each replaced
    by a new one.
    """

    count: int
    seconds: float = -1.0
    heartbeat: float = 15.0
    deaths: float = 0.0


class SimulatedNode:
    """Remembers what it was given as long as it lives."""

    def __init__(self, fleet: "Fleet", node_id: str, bus: NodeNats) -> None:
        self.fleet, self.node_id, self.bus = fleet, node_id, bus
        self.running: dict[str, Execution] = {}
        self.joined = Signal()
        self.seq = 0

    async def on_message(self, delivery: Delivery) -> None:
        message = delivery.message
        if isinstance(message, m.AskForBid):
            execution = message.execution
            if execution.id not in self.running:
                self.running[execution.id] = execution
                self.fleet.taken(execution)
                if self.fleet.plan.seconds >= 0:
                    self.fleet.crew.start(self._finish(execution))
        elif isinstance(message, m.CancelExecution) and message.execution_id in self.running:
            self.fleet.crew.start(self._cancel(self.running[message.execution_id]))

    async def _finish(self, execution: Execution) -> None:
        await asyncio.sleep(self.fleet.plan.seconds)
        job_type = execution.job.type if execution.job else "batch"
        result = m.RunResult(
            execution_id=execution.id, job_id=execution.job_id, job_type=job_type, publish_result=SpecConfig()
        )
        await self._tell(execution, "RunResult", result)

    async def _cancel(self, execution: Execution) -> None:
        await self._tell(execution, "ComputeError", tell_cancelled(execution, RunCommandResult(exit_code=-1)))

    async def _tell(self, execution: Execution, kind: str, report: m.RunResult | m.ComputeError) -> None:
        """Report the end of an execution until the orchestrator has noted it."""
        while execution.id in self.running and self.node_id in self.fleet.nodes:
            self.seq += 1
            try:
                await self.bus.send(kind, report, self.seq)
                self.running.pop(execution.id, None)
            except BacalhauError:
                await asyncio.sleep(0.1)

    async def shake_hands(self) -> None:
        info = NodeInfo(
            node_id=self.node_id,
            labels={"name": self.node_id},
            compute_node_info=ComputeNodeInfo(
                execution_engines=("noop",),
                max_capacity=CAPACITY,
                max_job_requirements=CAPACITY,
                available_capacity=CAPACITY,
            ),
            bacalhau_version=this_version(),
        )
        answer = await self.bus.request(
            m.HandshakeRequest(node_info=info, start_time=rfc3339(now_ns()), running=tuple(self.running)), seconds=60
        )
        if isinstance(answer, m.HandshakeResponse) and answer.accepted:
            for execution_id in answer.stop or ():
                self.running.pop(execution_id, None)
            self.joined.fire()
            self.fleet.joined.add(self.node_id)

    async def no_logs(self, execution_id: str, tail: bool, follow: bool) -> AsyncIterator[tuple[int, str]]:
        for line in ():
            yield line

    async def beat_forever(self) -> None:
        await asyncio.sleep(random.uniform(0, self.fleet.plan.heartbeat))
        while True:
            try:
                await self.bus.request(m.HeartbeatRequest(node_id=self.node_id, available_capacity=CAPACITY))
            except BacalhauError:
                await self._try_to_join()
            await asyncio.sleep(self.fleet.plan.heartbeat)

    async def _try_to_join(self) -> None:
        try:
            await self.shake_hands()
        except BacalhauError:
            self.fleet.joined.discard(self.node_id)


class Fleet:
    """All nodes of one process. `asks` counts executions taken, `first_ask` and `last_ask` are monotonic seconds."""

    def __init__(self, url: str, plan: Plan, crew: Crew) -> None:
        self.url, self.plan, self.crew = url, plan, crew
        self.nodes: dict[str, tuple[SimulatedNode, asyncio.Task[None]]] = {}
        self.joined: set[str] = set()
        self.asks = 0
        self.deaths = 0
        self.times: dict[str, float] = {}  # when a job's execution was last taken
        self._numbers = iter(range(10**9))

    def taken(self, execution: Execution) -> None:
        self.asks += 1
        self.times[execution.job_id] = time.monotonic()

    async def grow(self, count: int) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with slots:
                await self.add()

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())

    async def add(self) -> None:
        node_id = f"n-sim-{next(self._numbers):05d}"
        ready = asyncio.Event()
        task = self.crew.start(self._live(node_id, ready))
        await ready.wait()
        if task.done():
            task.result()

    async def _live(self, node_id: str, ready: asyncio.Event) -> None:
        async with node_bus(self.url, node_id, "secret") as bus:
            node = SimulatedNode(self, node_id, bus)
            me = asyncio.current_task()
            assert me is not None
            self.nodes[node_id] = (node, me)
            async with bus.serve(node.on_message, node.no_logs, node.shake_hands), background(node.beat_forever()):
                await node.joined.wait(300)
                ready.set()
                await asyncio.Event().wait()

    def kill(self, node_id: str) -> None:
        """The connection closes, and everything it had in hand is gone."""
        _, task = self.nodes.pop(node_id)
        self.joined.discard(node_id)
        self.deaths += 1
        task.cancel()

    async def die_forever(self) -> None:
        while True:
            await asyncio.sleep(random.expovariate(self.plan.deaths) if self.plan.deaths else 3600)
            if self.plan.deaths and self.nodes:
                self.kill(random.choice(list(self.nodes)))
                await self.add()

    def kill_busiest(self) -> tuple[str, list[str], float]:
        """The node that has most, the jobs it had, and when it died."""
        node_id = max(self.nodes, key=lambda name: len(self.nodes[name][0].running))
        jobs = [execution.job_id for execution in self.nodes[node_id][0].running.values()]
        for job_id in jobs:
            self.times.pop(job_id, None)
        self.kill(node_id)
        return node_id, jobs, time.monotonic()

    def tell(self, what: str) -> Any:
        if what == "kill":
            return self.kill_busiest()
        return {
            "asks": self.asks,
            "deaths": self.deaths,
            "joined": len(self.joined),
            "running": sum(len(node.running) for node, _ in self.nodes.values()),
            "times": self.times if what == "times" else {},
        }


async def _serve(url: str, plan: Plan, pipe: Connection) -> None:
    async with crew() as working:
        fleet = Fleet(url, plan, working)
        await fleet.grow(plan.count)
        pipe.send("ready")
        async with background(fleet.die_forever()):
            while (what := await asyncio.to_thread(pipe.recv)) != "end":
                if isinstance(what, Plan):
                    fleet.plan = what
                    pipe.send("changed")
                else:
                    pipe.send(fleet.tell(what))


def _run(url: str, plan: Plan, pipe: Connection) -> None:
    logging.disable(logging.WARNING)  # what is killed on purpose is no news
    asyncio.run(_serve(url, plan, pipe))


class Handle:
    """The fleet, from outside."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def ask(self, what: Any) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()


@contextmanager
def fleet(url: str, plan: Plan) -> Iterator[Handle]:
    """All nodes have joined when the block begins."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(url, plan, theirs), daemon=True)
    process.start()
    try:
        if not mine.poll(300) or mine.recv() != "ready":
            raise RuntimeError("the simulated nodes did not join")
        yield Handle(mine)
    finally:
        process.kill()
        process.join()
