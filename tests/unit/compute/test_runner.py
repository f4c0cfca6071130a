"""Ending what runs, also while its engine is out of reach."""

import pytest

from bacalhau.compute.core import ComputeNode, Plugins, Running
from bacalhau.compute.execution.runner import run_execution
from bacalhau.compute.state.attempt import Attempt, record_mounts, write_attempt
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import Unavailable
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import InputSource, Job, ResultPath, Task, Timeouts
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.local.source import LocalSource
from bacalhau.plugins.noop.engine import STOPPED, NoopEngine
from bacalhau.ports.engine import Mount


class AwayOnce(NoopEngine):
    """Cannot be reached when it is first told to stop."""

    def __init__(self):
        super().__init__()
        self.told = 0

    async def stop(self, execution_id, grace):
        self.told += 1
        if self.told == 1:
            raise Unavailable("the engine is away")
        await super().stop(execution_id, grace)


class Silent:
    """A NodeBus that nobody listens to."""

    async def tell(self, message):
        raise Unavailable("nobody listens")


async def nothing():
    """Nobody gives up."""


async def test_an_engine_that_is_away_when_time_is_over_is_told_again_and_the_node_lives_on(tmp_path):
    engine = AwayOnce()
    task = Task(
        name="main", engine=SpecConfig(type="noop", params={"Sleep": 60}), timeouts=Timeouts(execution_timeout=1)
    )
    execution = Execution(
        id="e-1", job=Job(id="j-1", tasks=(task,)), allocated_resources=AllocatedResources(tasks={"main": Resources()})
    )
    async with crew() as people:
        node = ComputeNode(
            "n-1", tmp_path, None, Silent(), Plugins({"noop": engine}, {}, {}), Capacity(Resources()), people
        )
        running = node.running[execution.id] = Running(nothing)
        outcome = await run_execution(node, execution, running)
    assert (engine.told, running.exit_code, outcome.error.message) == (
        2,
        STOPPED,
        "timed out after 1 s: the execution's time limit is over (while it ran)",
    )


class Mounting(NoopEngine):
    """Notes what it is given to mount, and what it is told to stop."""

    def __init__(self):
        super().__init__()
        self.mounted, self.stopped = [], []

    async def run(self, task, report):
        self.mounted += [(mount.held.place if mount.held else str(mount.host_path)) for mount in task.mounts]
        return await super().run(task, report)

    async def stop(self, execution_id, grace):
        self.stopped.append(execution_id)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (["{data}/**:rw"], ""),
        (["{data}/**"], "volume {data}/x is not granted write access"),
        (["{data}/y:rw"], "volume {data}/x is not allowlisted"),
        ([], "volume {data}/x is not allowlisted"),
        (None, "this node cannot read inputs from local"),
    ],
)
async def test_what_an_earlier_process_mounted_is_asked_for_again(tmp_path, rules, problem):
    """The rules may be others, and the place may be another: what the record says is not mounted unseen."""
    data, folder = tmp_path / "data", tmp_path / "executions"
    (data / "x").mkdir(parents=True)
    (folder / "e-1").mkdir(parents=True)
    source = SpecConfig(type="local", params={"SourcePath": f"{data}/x", "ReadWrite": True})
    task = Task(
        name="main",
        engine=SpecConfig(type="noop", params={}),
        input_sources=(InputSource(source=source, target="/in"),),
        result_paths=(ResultPath(name="outputs", path="/outputs"),),
    )
    written = (Mount(data / "elsewhere", "/in", False), Mount(folder / "e-1/result/outputs", "/outputs", False))
    write_attempt(folder / "e-1", Attempt(started=1, mounts=record_mounts(written)))
    execution = Execution(
        id="e-1", job=Job(id="j-1", tasks=(task,)), allocated_resources=AllocatedResources(tasks={"main": Resources()})
    )
    sources = {} if rules is None else {"local": LocalSource([rule.format(data=data) for rule in rules])}
    engine = Mounting()
    async with crew() as people:
        plugins = Plugins({"noop": engine}, sources, {})
        node = ComputeNode("n-1", folder, None, Silent(), plugins, Capacity(Resources()), people)
        running = node.running[execution.id] = Running(nothing)
        outcome = await run_execution(node, execution, running)
    told = outcome.error.message if outcome.error else ""
    assert told == problem.format(data=data)
    assert engine.stopped == (["e-1"] if problem else [])
    assert engine.mounted == ([] if problem else [f"{data}/x", str(written[1].host_path)])
