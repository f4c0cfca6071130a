"""Ending what runs, also while its engine is out of reach."""

from bacalhau.compute.core import ComputeNode, Plugins, Running
from bacalhau.compute.execution.runner import run_execution
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import Unavailable
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import Job, Task, Timeouts
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.noop.engine import STOPPED, NoopEngine


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
