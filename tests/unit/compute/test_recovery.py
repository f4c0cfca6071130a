"""Work that a node takes up again after its process ended, and work that it gives up."""

from contextlib import asynccontextmanager

import pytest

from bacalhau.compute.core import FINISHED, ComputeNode, Plugins
from bacalhau.compute.messages.inbox import ACCEPTED, IN_HAND
from bacalhau.compute.recovery import note_orderly_stop, resume_executions
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.lib.wire import decode
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import ComputeError
from bacalhau.plugins.noop.engine import NoopEngine
from bacalhau.store.journal import NodeJournal


class Silent:
    """A NodeBus that nobody listens to."""

    async def tell(self, message):
        return


def execution(name, kind="batch"):
    task = Task(name="main", engine=SpecConfig(type="noop", params={"Sleep": 600}))
    job = Job(id="j-1", type=kind, tasks=(task,))
    return Execution(id=name, job=job, allocated_resources=AllocatedResources(tasks={"main": Resources()}))


@asynccontextmanager
async def life(folder):
    """One process of the node, from its start to its end, which is sudden."""
    async with NodeJournal(folder / "journal.db") as journal, crew() as people:
        plugins = Plugins({"noop": NoopEngine()}, {}, {})
        node = ComputeNode("n-1", folder / "executions", journal, Silent(), plugins, Capacity(Resources()), people)
        await resume_executions(node)
        yield node
        people.cancel()


async def accept(node, *executions):
    for one in executions:
        await node.journal.put_execution(one)
        await node.journal.set_state(one.id, ACCEPTED)


async def told(node):
    reports = await node.journal.list_reports(0, 0)
    return {report.execution_id: decode(report.body, ComputeError).events[0] for report in reports}


@pytest.mark.parametrize(("kind", "placed_again"), [("batch", False), ("ops", False), ("service", True)])
async def test_what_its_node_did_not_survive_four_times_is_not_taken_up_a_fourth_time(tmp_path, kind, placed_again):
    async with life(tmp_path) as node:
        await accept(node, execution("e-suspect", kind))
    for number in range(1, 4):
        async with life(tmp_path) as node:
            assert "e-suspect" in node.running
            if number == 2:
                await accept(node, execution("e-later"))
    async with life(tmp_path) as node:
        assert node.running.keys() == {"e-later"}
        assert await node.journal.list_ids([FINISHED]) == ["e-suspect"]
        event = (await told(node))["e-suspect"]
        assert event.message.startswith("the process of its node ended 4 times, without an orderly stop, while it had")
        assert (event.details.get("Retryable") == "true") == placed_again


async def test_an_orderly_stop_does_not_count(tmp_path):
    async with life(tmp_path) as node:
        await accept(node, execution("e-1"))
        await note_orderly_stop(node)
    for _ in range(5):
        async with life(tmp_path) as node:
            await note_orderly_stop(node)
    async with life(tmp_path) as node:
        assert [entry.interruptions for entry in await node.journal.list_executions(IN_HAND)] == [0]
        assert node.running.keys() == {"e-1"}
