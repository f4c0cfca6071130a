"""Messages that come twice, late, out of order or not at all: both ends in this process, the road between them is bad
on purpose.
"""

import os
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec.structs import replace

from bacalhau.bus.local import local_bus
from bacalhau.compute.core import ComputeNode, Plugins
from bacalhau.compute.run import run_node
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import Signal, crew
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.execution.execution import AllocatedResources, DesiredState, DesiredStateType
from bacalhau.models.job.job import Job, LabelSelectorRequirement, Task
from bacalhau.models.job.resources import Resources, ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import AskForBid, CancelExecution
from bacalhau.orchestrator.core import Checks, Orchestrator
from bacalhau.orchestrator.jobs.read import wait_job
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.run import run_orchestrator
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.noop.engine import NoopEngine, check_engine
from bacalhau.ports.logs import Quota
from bacalhau.ports.store import HistoryQuery
from bacalhau.store.journal import NodeJournal
from bacalhau.store.logs import FileLogs
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, an_execution, submitted

JOBS, NODES, CPUS = 120, 3, 4


class BadRoad:
    """Of ten messages, two are lost, two arrive though their sender hears nothing, two arrive twice, and two bring an
    old one along.
    """

    def __init__(self, send, chance):
        self.straight, self._chance = send, chance
        self._old = []
        self.fates = Counter()

    async def send(self, *message):
        fate = self._chance.choice(("lost", "unheard", "twice", "late", "well"))
        self.fates[fate] += 1
        if fate == "lost":
            raise Unavailable("lost on the way")
        await self.straight(*message)
        self._old.append(message)
        if fate == "twice":
            await self.straight(*message)
        elif fate == "late":
            await self.straight(*self._chance.choice(self._old))
        elif fate == "unheard":
            raise Unavailable("the answer was lost on the way")


class End:
    """One end of a bus with a bad road behind `send`."""

    def __init__(self, inner, chance):
        self._inner = inner
        self.bus_address = BadRoad(inner.send, chance)
        self.send = self.bus_address.send

    def __getattr__(self, name):
        return getattr(self._inner, name)


class Counting(NoopEngine):
    def __init__(self, runs):
        super().__init__()
        self._runs = runs

    async def run(self, task, report):
        self._runs[task.execution_id] += 1
        return await super().run(task, report)


async def as_it_is(spec):
    return spec


@asynccontextmanager
async def opened(folder, chance, runs):
    checks = {"noop": check_engine}
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(local_bus())
        store = await stack.enter_async_context(SqliteStore(folder / "state.db"))
        up = End(bus.orchestrator, chance)
        orch = Orchestrator(
            node_id="n-orchestrator",
            store=store,
            bus=up,
            content=BlockStore(folder / "content"),
            logs=LogBook(FileLogs(folder / "logs", Quota()), 0),
            checks=Checks(checks, {}, {}),
            fill_defaults=lambda job: job,
            presign=as_it_is,
            cluster=Cluster(60_000_000_000),
            gate=Gate(store, ""),
        )
        await stack.enter_async_context(run_orchestrator(orch))
        nodes = []
        for number in range(NODES):
            nodes.append(
                ComputeNode(
                    node_id=f"n-{number}",
                    folder=folder / f"n-{number}",
                    journal=await stack.enter_async_context(NodeJournal(folder / f"n-{number}.db")),
                    bus=End(bus.node(f"n-{number}"), chance),
                    plugins=Plugins({"noop": Counting(runs)}, {}, {}),
                    capacity=Capacity(Resources(cpu=CPUS, memory=4_000_000_000)),
                    crew=await stack.enter_async_context(crew()),
                )
            )
            await stack.enter_async_context(run_node(nodes[-1]))
        yield orch, nodes


async def submit_noop(orch, cpu="1", **params):
    task = Task(
        name="main", engine=SpecConfig(type="noop", params=params), resources=ResourcesConfig(cpu=cpu, memory="1mb")
    )
    job = Job(type="batch", count=1, tasks=(task,))
    return (await submit_job(orch, job, force=False, warnings=())).job_id


async def test_a_bad_road_loses_doubles_and_mixes_messages(tmp_path):
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    sys.stdout.write(f"CHAOS_SEED={seed}\n")
    runs = Counter()
    async with opened(tmp_path, random.Random(seed), runs) as (orch, nodes):
        jobs = [await submit_noop(orch) for _ in range(JOBS)]
        endless = [await submit_noop(orch, Sleep=3600) for _ in range(6)]
        for job_id in endless[:3]:  # one of them perhaps before its node has heard of it
            await stop_job(orch, job_id, "", "enough")
        for job_id in jobs:
            job = await wait_job(orch, job_id, 60)
            assert (job.state.state_type, job.state.message) == ("Completed", "")
        for job_id in endless[3:]:
            await stop_job(orch, job_id, "", "enough")
        assert {(await orch.store.find_job(job_id)).state.state_type for job_id in endless} == {"Stopped"}
        for job_id in [await submit_noop(orch, str(CPUS)) for _ in nodes]:  # nothing is reserved any more
            assert (await wait_job(orch, job_id, 60)).state.state_type == "Completed"
        for node in nodes:
            while node.running:
                assert await node.ended.wait(60)
        for job_id in jobs:
            (execution,) = await orch.store.list_executions(job_id, -1)
            assert (runs[execution.id], execution.compute_state.details) == (1, None)
            told = [item.event.message for item in await orch.store.list_history(HistoryQuery(job_id))]
            assert told.count("Completed successfully") == 1, told
        assert orch.bus.bus_address.fates["lost"] and orch.bus.bus_address.fates["late"]


async def test_what_is_stopped_while_it_waits_on_its_node_never_runs(tmp_path):
    runs = Counter()
    async with opened(tmp_path, random.Random(1), runs) as (orch, nodes):
        node, send = nodes[0], orch.bus.bus_address.straight
        task = Task(name="main", engine=SpecConfig(type="noop", params={"Sleep": 3600}))
        job = a_job(1, tasks=(task,))
        whole = AllocatedResources(tasks={"main": Resources(cpu=CPUS)})
        running, waiting = (
            replace(
                an_execution(job, n),
                node_id=node.node_id,
                job=job,
                allocated_resources=whole,
                desired_state=DesiredState(state_type=DesiredStateType.RUNNING),
            )
            for n in (1, 2)
        )
        for number, execution in enumerate((running, waiting), 1):
            await send(node.node_id, "AskForBid", encode(AskForBid(execution=execution)), number)
        while not runs[running.id]:
            await Signal().wait(0.01)
        assert set(node.running) == {running.id, waiting.id}
        for number, execution in enumerate((waiting, running), 3):
            await send(node.node_id, "CancelExecution", encode(CancelExecution(execution_id=execution.id)), number)
            while execution.id in node.running:
                assert await node.ended.wait(60)
        assert runs == {running.id: 1}


class Full:
    """A store whose disk has no room for placements while `refuses` is above 0."""

    def __init__(self, inner):
        self._inner = inner
        self.refuses = 2

    async def apply(self, change):
        if change.new_executions and self.refuses:
            self.refuses -= 1
            raise Unavailable("database or disk is full")
        return await self._inner.apply(change)

    def __getattr__(self, name):
        return getattr(self._inner, name)


async def test_what_the_store_could_not_take_is_tried_again_and_holds_nothing_meanwhile(tmp_path):
    async with opened(tmp_path, random.Random(1), Counter()) as (orch, _):
        orch.store = full = Full(orch.store)
        task = Task(name="main", engine=SpecConfig(type="noop"), resources=ResourcesConfig(cpu=str(CPUS), memory="1mb"))
        await orch.commit(submitted(a_job(1, tasks=(task,))))
        orch.queue.add(a_job(1).id)
        job = await wait_job(orch, a_job(1).id, 30)
        assert (job.state.state_type, full.refuses) == ("Completed", 0)
        assert len(await orch.store.list_executions(job.id, -1)) == 1
        for node in orch.cluster.nodes():
            assert orch.cluster.shown(node).info.compute.available_capacity == node.info.compute.max_capacity


async def test_what_waits_for_nodes_to_join_does_not_come_before_what_waits_for_room(tmp_path):
    async with opened(tmp_path, random.Random(1), Counter()) as (orch, nodes):
        nowhere = (LabelSelectorRequirement(key="zone", operator="=", values=("moon",)),)
        task = Task(name="main", engine=SpecConfig(type="noop"), resources=ResourcesConfig(cpu="1", memory="1mb"))
        daemon = a_job(1, type="daemon", count=0, tasks=(task,), constraints=nowhere)
        await orch.commit(submitted(daemon))
        orch.queue.add(daemon.id)
        for job_id in [await submit_noop(orch, str(CPUS), Sleep=3600) for _ in nodes] + [daemon.id]:
            await becomes(orch, job_id, "Queued" if job_id == daemon.id else "Running")
        waits = await submit_noop(orch)
        await becomes(orch, waits, "Queued")
        while orch.queue.position(daemon.id):  # nodes have just joined: it is about to be looked at again
            await Signal().wait(0.01)
        assert (orch.queue.position(waits), orch.queue.position(daemon.id)) == (1, 0)


async def becomes(orch, job_id, state):
    with orch.board.watch(job_id) as watch:
        while watch.clear() or (await orch.store.find_job(job_id)).state.state_type != state:
            assert await watch.wait(30)


async def test_a_job_that_breaks_the_scheduler_breaks_nothing_else(tmp_path):
    """As one of a later version might, or a fault of ours: its sizes cannot be read."""
    async with opened(tmp_path, random.Random(1), Counter()) as (orch, _):
        poison = a_job(
            1, tasks=(Task(name="main", engine=SpecConfig(type="noop"), resources=ResourcesConfig(cpu="much")),)
        )
        await orch.commit(submitted(poison))
        orch.queue.add(poison.id)
        job = await wait_job(orch, poison.id, 60)
        assert (job.state.state_type, job.state.message.partition(":")[0]) == ("Failed", "internal error")
        assert (await wait_job(orch, await submit_noop(orch), 60)).state.state_type == "Completed"
