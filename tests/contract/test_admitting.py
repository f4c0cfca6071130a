"""A node between its journal and an orchestrator that may ask for a bid first: what it answers, keeps, and takes up
after a restart.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bacalhau.compute.core import ComputeNode, Plugins
from bacalhau.compute.messages.inbox import on_message
from bacalhau.compute.recovery import resume_executions
from bacalhau.compute.state.capacity import Capacity
from bacalhau.compute.state.policy import Admission
from bacalhau.compute.state.ports import PortPool
from bacalhau.lib.aio import Signal, crew
from bacalhau.lib.outbox import Lane
from bacalhau.models.execution.execution import AllocatedResources, DesiredState, DesiredStateType, Execution
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.network import NetworkConfig, PortMapping
from bacalhau.models.job.resources import GPU, Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.admission import NodePolicy
from bacalhau.models.wire import messages as m
from bacalhau.ports.bus import Delivery
from bacalhau.ports.engine import Exit
from bacalhau.store.journal import NodeJournal

CARDS = (GPU(index=0, vendor="NVIDIA"), GPU(index=1, vendor="NVIDIA"))
WEB = NetworkConfig(type="Bridge", ports=(PortMapping(name="web", target=80),))


@dataclass
class Engine:
    """Notes the tasks it is given; each runs until it is stopped."""

    tasks: dict = field(default_factory=dict)
    changed: Signal = field(default_factory=Signal)
    stopped: set = field(default_factory=set)

    async def run(self, task, report):
        self.tasks[task.execution_id] = task
        self.changed.fire()
        while task.execution_id not in self.stopped:
            await self.changed.wait(30)
        return Exit(0)

    async def stop(self, execution_id, grace):
        self.stopped.add(execution_id)
        self.changed.fire()

    async def until_running(self, *execution_ids):
        while not self.tasks.keys() >= set(execution_ids):
            assert await self.changed.wait(30)
        return [self.tasks[execution_id] for execution_id in execution_ids]


@dataclass
class Probe:
    """Answers when it is told to."""

    reason: str = ""
    asked: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, job):
        self.asked += 1
        await self.ready.wait()
        return self.reason


class Silent:
    """A NodeBus that nobody listens to."""

    async def tell(self, message):
        return None


class Kept(Lane):
    """Reports that nobody fetches."""

    def __init__(self):
        super().__init__()
        self.came = Signal()

    def put(self, letter, **how):
        super().put(letter, **how)
        self.came.fire()


@asynccontextmanager
async def a_node(folder, engine=None, **rules):
    """A process of the node; the next one finds its journal and folders."""
    async with NodeJournal(folder / "journal.db") as journal, crew() as people:
        plugins = Plugins({"noop": engine or Engine()}, {}, {})
        capacity = Capacity(Resources(cpu=4.0, gpu=2, gpus=CARDS))
        pool = PortPool(20000, 20010, lambda *_: True)
        yield ComputeNode(
            "n-1",
            folder / "executions",
            journal,
            Silent(),
            plugins,
            capacity,
            people,
            pool=pool,
            admission=Admission(**rules),
            reports=Kept(),
        )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "executions").mkdir()
    return tmp_path


def execution(number=1, *, desired=DesiredStateType.RUNNING, need=None, **task):
    job = Job(id="j-1", type="batch", count=1, tasks=(Task(name="main", engine=SpecConfig(type="noop"), **task),))
    allocated = AllocatedResources(tasks={"main": need or Resources(cpu=0.5)})
    return Execution(
        id=f"e-{number}",
        job_id="j-1",
        job=job,
        allocated_resources=allocated,
        desired_state=DesiredState(state_type=desired),
        revision=1,
    )


async def ask(node, wanted):
    await on_message(node, Delivery("o", "AskForBid", m.AskForBid(execution=wanted)))


async def tell(node, message):
    await on_message(node, Delivery("o", type(message).__name__, message))


async def reports(node, count=1):
    while len(told := node.reports.unsettled()) < count:
        assert await node.reports.came.wait(30)
    return [pending.message for pending in told]


async def states(node):
    return {
        entry.execution.id: entry.state
        for entry in await node.journal.list_executions(("", "bid", "accepted", "finished", "cancelled"))
    }


async def until_idle(node):
    while node.running:
        assert await node.ended.wait(30)


async def test_an_orchestrator_that_asks_for_a_bid_first(folder):
    engine = Engine()
    async with a_node(folder, engine) as node:
        await ask(node, execution(desired=DesiredStateType.PENDING))
        (answer,) = await reports(node)
        assert answer == m.BidResult(execution_id="e-1", job_id="j-1", job_type="batch", accepted=True)
        assert (await states(node), engine.tasks) == ({"e-1": "bid"}, {})
        await tell(node, m.BidAccepted(execution_id="e-1", accepted=True))
        await engine.until_running("e-1")
        await engine.stop("e-1", 0)
        assert isinstance((await reports(node, 2))[1], m.RunResult)


async def test_a_bid_is_refused_with_the_reason(folder):
    async with a_node(folder, env_allowed=("A",)) as node:
        await ask(node, execution(desired=DesiredStateType.PENDING, env={"B": "env:B"}))
        (answer,) = await reports(node)
        assert (answer.accepted, answer.events[0].topic) == (False, "Exec Scanning")
        assert (
            answer.events[0].message
            == "environment variable B asks for B of the node, which Compute.Env.AllowList does not allow"
        )
        assert await states(node) == {"e-1": "finished"}


async def test_a_probe_is_asked_once_also_over_a_restart(folder):
    probe, engine = Probe(), Engine()
    probe.ready.set()
    async with a_node(folder, engine, probes=(probe,)) as node:
        await ask(node, execution())
        await engine.until_running("e-1")
        assert await states(node) == {"e-1": "accepted"}
    probe.reason, again = "no longer", Engine()
    async with a_node(folder, again, probes=(probe,)) as node:
        await resume_executions(node)
        await again.until_running("e-1")
    assert probe.asked == 1


async def test_what_is_cancelled_while_a_probe_thinks_never_runs(folder):
    probe, engine = Probe(), Engine()
    async with a_node(folder, engine, probes=(probe,)) as node:
        await ask(node, execution())
        await tell(node, m.CancelExecution(execution_id="e-1"))
        probe.ready.set()
        await until_idle(node)
        assert (engine.tasks, await states(node)) == ({}, {"e-1": "cancelled"})
        (told,) = node.reports.unsettled()
        assert (told.type, told.execution_id, told.message.events[0].message) == (
            "ComputeError",
            "e-1",
            "Stopped before it ran",
        )


async def test_what_new_rules_refuse_is_stopped(folder):
    engine = Engine()
    async with a_node(folder, engine) as node:
        await ask(node, execution(network=NetworkConfig(type="Host")))
        await engine.until_running("e-1")
    again = Engine()
    async with a_node(folder, again, policy=NodePolicy(reject_networked_jobs=True)) as node:
        await resume_executions(node)
        (answer,) = await reports(node)
        assert not answer.accepted
        assert (again.tasks, again.stopped) == ({}, {"e-1"})


async def test_ports_and_gpus_are_a_tasks_own_over_a_restart(folder):
    engine, need = Engine(), Resources(cpu=0.5, gpu=1)
    async with a_node(folder, engine) as node:
        await ask(node, execution(1, need=need, network=WEB))
        await ask(node, execution(2, need=need, network=WEB))
        before = await engine.until_running("e-1", "e-2")
        told = {answer.execution_id: answer.ports for answer in await reports(node, 2)}
        assert told == {"e-1": {"web": "127.0.0.1:20000"}, "e-2": {"web": "127.0.0.1:20001"}}
        await tell(node, m.CancelExecution(execution_id="e-1"))
        while "e-1" in node.running:
            assert await node.ended.wait(30)
    again = Engine()
    async with a_node(folder, again) as node:
        await resume_executions(node)
        await ask(node, execution(3, need=need, network=WEB))
        kept, new = await again.until_running("e-2", "e-3")
        assert (kept.network, kept.resources, kept.env) == (before[1].network, before[1].resources, before[1].env)
        assert [gpu.index for gpu in kept.resources.gpus + new.resources.gpus] == [1, 0]
        assert new.env["BACALHAU_HOST_PORT_web"] == "20000"
        assert node.reports.unsettled()[-1].message.ports == {"web": "127.0.0.1:20000"}


async def test_ports_told_before_a_crash_that_lost_the_attempt_are_told_anew(folder):
    engine = Engine()
    async with a_node(folder, engine) as node:
        await ask(node, execution(network=WEB))
        await engine.until_running("e-1")
    attempt = folder / "executions" / "e-1" / "attempt.json"
    attempt.write_bytes(attempt.read_bytes()[:10])
    again = Engine()
    async with a_node(folder, again) as node:
        await resume_executions(node)
        (task,) = await again.until_running("e-1")
        assert (await reports(node))[-1].ports == {"web": f"127.0.0.1:{task.env['BACALHAU_HOST_PORT_web']}"}


async def test_more_than_the_node_has_is_refused_not_waited_for(folder):
    async with a_node(folder) as node:
        await ask(node, execution(need=Resources(cpu=5.0, gpu=3)))
        (answer,) = await reports(node)
        assert answer.events[0].message == "needs 5 CPU, has 4; needs 3 GPU, has 2"
