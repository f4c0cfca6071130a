"""Outputs that were not published: how long a node keeps them, and what goes when its disk is needed."""

import shutil
from contextlib import asynccontextmanager

import pytest

from bacalhau.compute.core import FINISHED, ComputeNode, Plugins
from bacalhau.compute.execution.keeping import expire_kept, fit_kept, free_disk, keep_outputs, load_kept
from bacalhau.compute.messages.inbox import cancel, on_message
from bacalhau.compute.messages.outbox import report_end
from bacalhau.compute.state.capacity import Capacity
from bacalhau.compute.state.kept import KEPT, read_kept
from bacalhau.lib.aio import crew
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.wire import decode
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import AllocatedResources, Execution
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import ComputeError, ForgetOutputs, RunResult
from bacalhau.ports.bus import Delivery
from bacalhau.store.journal import NodeJournal

MB = 1_000_000


def an_execution(name, kind="batch", publisher="local"):
    task = Task(name="main", engine=SpecConfig(type="noop"), publisher=SpecConfig(type=publisher))
    allocated = AllocatedResources(tasks={"main": Resources()})
    return Execution(id=name, job_id="j-1", job=Job(id="j-1", type=kind, tasks=(task,)), allocated_resources=allocated)


@asynccontextmanager
async def a_node(folder, disk=0, **how):
    async with NodeJournal(folder / "journal.db") as journal, crew() as people:
        capacity = Capacity(Resources(disk=disk))
        yield ComputeNode("n-1", folder / "executions", journal, None, Plugins({}, {}, {}), capacity, people, **how)


async def ran(node, execution, size=MB):
    """An execution whose task has ended with outputs of this size, beside inputs that are brought again."""
    await node.journal.put_execution(execution)
    folder = node.execution_folder(execution.id)
    (folder / "inputs" / "0").mkdir(parents=True)
    (folder / "inputs" / "0" / "in").write_bytes(bytes(size))
    (folder / "result" / "outputs").mkdir(parents=True)
    (folder / "result" / "outputs" / "out").write_bytes(bytes(size - 1))
    (folder / "result" / "exitCode").write_text("0")
    return execution


def failure(execution):
    event = make_event(Topic.PUBLISHING_RESULTS, "it was refused", now_ns(), Hint="look there")
    return ComputeError(execution_id=execution.id, job_id=execution.job_id, events=(event,))


async def test_a_failure_keeps_outputs_without_inputs_and_the_report_says_where_and_until_when(tmp_path):
    async with a_node(tmp_path, keep_unpublished=60) as node:
        one = await ran(node, an_execution("e-1"))
        await report_end(node, one, FINISHED, failure(one))
        assert not (node.execution_folder("e-1") / "inputs").exists()
        assert (await node.journal.list_ids([KEPT]), node.kept["e-1"].record.bytes) == (["e-1"], MB)
        (told,) = await node.journal.list_reports(0, 0)
    details = decode(told.body, ComputeError).events[0].details
    assert details["KeptBytes"] == str(MB)
    assert details["Hint"].endswith("UTC: bacalhau job publish j-1 (look there)")
    async with a_node(tmp_path, keep_unpublished=60) as node:  # the next process
        await load_kept(node)
        assert node.kept.keys() == {"e-1"}
        await cancel(node, "e-1")  # as an orchestrator that has given it up does
        assert (await node.journal.list_ids([KEPT]), node.kept.keys()) == (["e-1"], {"e-1"})


@pytest.mark.parametrize(
    ("execution", "how"),
    [
        (an_execution("e-1", kind="service"), {}),
        (an_execution("e-1", publisher=""), {}),
        (an_execution("e-1"), {"keep_unpublished": 0}),
    ],
    ids=["runs for ever", "no publisher", "switched off"],
)
async def test_nothing_is_kept_where_nothing_could_be_published(tmp_path, execution, how):
    async with a_node(tmp_path, **how) as node:
        one = await ran(node, execution)
        await report_end(node, one, FINISHED, failure(one))
        assert (await node.journal.list_ids([FINISHED]), node.kept) == (["e-1"], {})


async def test_a_task_that_did_not_end_and_a_result_that_was_published_are_not_kept(tmp_path):
    async with a_node(tmp_path) as node:
        one, two = await ran(node, an_execution("e-1")), await ran(node, an_execution("e-2"))
        (node.execution_folder("e-1") / "result" / "exitCode").unlink()
        await report_end(node, one, FINISHED, failure(one))
        await report_end(node, two, FINISHED, RunResult(execution_id="e-2"))
        assert (await node.journal.list_ids([FINISHED]), node.kept) == (["e-1", "e-2"], {})


async def test_the_oldest_go_when_running_tasks_have_the_disk(tmp_path):
    async with a_node(tmp_path, disk=4 * MB) as node:
        for name in ("e-1", "e-2", "e-3"):
            assert await keep_outputs(node, await ran(node, an_execution(name)))
        await fit_kept(node)
        assert list(node.kept) == ["e-1", "e-2", "e-3"]
        async with node.capacity.hold("e-9", Resources(disk=3 * MB)):
            await fit_kept(node)
        assert list(node.kept) == ["e-3"]
        assert await node.journal.list_ids([FINISHED]) == ["e-1", "e-2"]
        assert not node.execution_folder("e-1").exists()


async def test_the_oldest_go_when_inputs_need_more_than_is_free(tmp_path):
    async with a_node(tmp_path) as node:
        for name in ("e-1", "e-2"):
            assert await keep_outputs(node, await ran(node, an_execution(name)))
        await free_disk(node, tmp_path, 1)
        assert list(node.kept) == ["e-1", "e-2"]
        await free_disk(node, tmp_path, 10 * shutil.disk_usage(tmp_path).total)
        assert not node.kept


async def test_time_ends_the_keeping(tmp_path):
    async with a_node(tmp_path, keep_unpublished=1e-6) as node:
        assert await keep_outputs(node, await ran(node, an_execution("e-1")))
        node.keep_unpublished = 60
        assert await keep_outputs(node, await ran(node, an_execution("e-2")))
        await expire_kept(node)
        assert (list(node.kept), read_kept(node.execution_folder("e-1"))) == (["e-2"], None)


async def forget(node, name):
    await on_message(node, Delivery("o", "ForgetOutputs", ForgetOutputs(execution_id=name)))


async def test_outputs_of_a_job_that_is_deleted_go_at_once(tmp_path):
    async with a_node(tmp_path) as node:
        for name in ("e-1", "e-2"):
            one = await ran(node, an_execution(name))
            await report_end(node, one, FINISHED, failure(one))
        for name in ("e-1", "e-1", "e-9"):  # again, and of nobody
            await forget(node, name)
        assert not node.execution_folder("e-1").exists() and node.execution_folder("e-2").exists()
        assert (await node.journal.list_ids([FINISHED]), list(node.kept)) == (["e-1"], ["e-2"])


class FullOnce(NodeJournal):
    """A journal that cannot be written, once."""

    is_full = False

    async def set_state(self, execution_id, state):
        if self.is_full:
            self.is_full = False
            raise Unavailable("the disk is full")
        await super().set_state(execution_id, state)


async def test_outputs_whose_removal_cannot_be_noted_are_removed_when_it_is_asked_for_again(tmp_path):
    async with FullOnce(tmp_path / "journal.db") as journal, crew() as people:
        capacity = Capacity(Resources())
        node = ComputeNode("n-1", tmp_path / "executions", journal, None, Plugins({}, {}, {}), capacity, people)
        assert await keep_outputs(node, await ran(node, an_execution("e-1")))
        journal.is_full = True
        with pytest.raises(Unavailable, match="the disk is full"):
            await forget(node, "e-1")
        assert list(node.kept) == ["e-1"]
        await forget(node, "e-1")
        assert (await journal.list_ids([FINISHED]), list(node.kept)) == (["e-1"], [])
