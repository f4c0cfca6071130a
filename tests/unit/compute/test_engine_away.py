"""A node tells at once that an engine is missing, and that it is back, however rarely it describes itself otherwise."""

import asyncio
from dataclasses import dataclass, field

import pytest

from bacalhau.compute.core import ComputeNode, Plugins, Running
from bacalhau.compute.execution.runner import run_execution
from bacalhau.compute.messages import control
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import background, crew
from bacalhau.lib.errors import EngineAway, Unavailable
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.retry import ENGINE_AWAY
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire import messages as m
from bacalhau.plugins.noop.engine import NoopEngine

GONE = "the daemon does not answer"
HOUR = 3600.0


class Daemon(NoopEngine):
    """An engine that can be stopped and started."""

    is_up = True

    async def check(self):
        if not self.is_up:
            raise EngineAway(GONE)

    async def run(self, task, report):
        await self.check()
        return await super().run(task, report)


@dataclass
class Orchestrator:
    """A NodeBus whose other end notes which engines the node has; it does not answer while it `is_deaf`."""

    is_deaf: bool = False
    told: asyncio.Queue = field(default_factory=asyncio.Queue)
    unheard: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, message):
        pass

    async def request(self, message):
        if self.is_deaf:
            self.unheard.set()
            raise Unavailable("no orchestrator answers")
        if isinstance(message, m.HandshakeRequest):
            return m.HandshakeResponse(accepted=True)
        compute = message.node_info.compute
        self.told.put_nowait((compute.execution_engines, compute.unavailable))
        return m.UpdateNodeInfoResponse(accepted=True)


@pytest.fixture
async def people():
    async with crew() as people:
        yield people


async def run(node):
    """One execution on the node; its outcome."""
    job = Job(id="j-1", tasks=(Task(name="main", engine=SpecConfig(type="Noop")),))
    execution = Execution(id="e-1", job=job, allocated_resources=AllocatedResources(tasks={"main": Resources()}))

    async def nothing():
        pass

    return await run_execution(node, execution, Running(nothing))


@pytest.mark.parametrize("is_deaf", [False, True])
async def test_an_engine_that_goes_and_comes_back_is_told_at_once(people, tmp_path, monkeypatch, is_deaf):
    """Also when the orchestrator is away at that moment: then it is told after the next handshake."""
    monkeypatch.setattr(control, "ENGINE_PAUSE", 0.01)
    engine, bus = Daemon(), Orchestrator()
    plugins = Plugins({"noop": engine}, {}, {})
    node = ComputeNode(
        "n-1", tmp_path, None, bus, plugins, Capacity(Resources()), people, heartbeat=HOUR, info_interval=HOUR
    )
    await control.shake_hands(node)
    async with background(control.tell_changes_forever(node)), asyncio.timeout(30):
        engine.is_up, bus.is_deaf = False, is_deaf
        assert (await run(node)).kind == ENGINE_AWAY
        if is_deaf:
            await bus.unheard.wait()
            bus.is_deaf = False
            await control.shake_hands(node)
        assert await bus.told.get() == ((), {"noop engine": GONE})
        engine.is_up = True
        assert await bus.told.get() == (("noop",), {})
        assert (await run(node)).error is None
    assert bus.told.empty() and not node.doubt.is_set()
