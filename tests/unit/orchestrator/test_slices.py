"""A large job is started, stopped and given up in slices: nobody waits for more than one, and none is forgotten."""

import gc
from collections import Counter

import pytest

from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.execution import ComputeStateType
from bacalhau.models.execution.view import JobView
from bacalhau.models.wire.messages import ComputeError
from bacalhau.orchestrator.evaluation.evaluator import evaluate_some
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.nodes.change import delete_node
from bacalhau.orchestrator.nodes.watch import load_state
from bacalhau.orchestrator.scheduling.quotas import Quota as Share
from bacalhau.orchestrator.scheduling.quotas import Quotas
from bacalhau.orchestrator.scheduling.view import SLICE
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.orchestrator.state.views import FEW
from bacalhau.ports.bus import Delivery
from bacalhau.ports.logs import STDOUT, Append, Piece, Quota
from bacalhau.store.logs import FileLogs
from tests.unit.orchestrator.house import open_house, wanted

PARTS = 3 * SLICE + 5
CPU = PARTS * 0.001


async def submit(house, job, *, force=False):
    return (await submit_job(house.orch, job, force=force, warnings=())).job_id


async def start_large(house, **fields):
    await house.join("n-1", cpu=CPU)
    job_id = await submit(house, wanted("large", cpu="0.001", count=PARTS, **fields))
    await house.settle()
    assert len(await house.live()) == PARTS
    return job_id


async def states(house, job_id):
    executions = await house.orch.store.list_executions(job_id, -1)
    return Counter(e.state for e in executions), {e.compute_state.message for e in executions}


async def job_state(house, job_id):
    return (await house.orch.store.find_job(job_id)).state.state_type


def largest(house):
    """The most executions that one transaction began, and ended."""
    changes = house.orch.store.changes
    return max(len(c.new_executions) for c in changes), max(len(c.executions) for c in changes)


class Unread:
    """A store whose views must not be read any more: all that is needed is in memory."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        assert name != "load_views"
        return getattr(self.store, name)


class Looking(Unread):
    """A store that counts at each write how many copies of a job's view there are."""

    copies = 0

    async def apply(self, change):
        views = (found for found in gc.get_objects() if type(found) is JobView and found.size == PARTS)
        self.copies = max(self.copies, sum(1 for _ in views))
        return await self.store.apply(change)


async def test_the_logs_of_many_executions_are_removed_in_one_hand_over(tmp_path):
    class Counted(FileLogs):
        calls = 0

        def remove(self, execution_ids):
            self.calls += 1
            super().remove(execution_ids)

    logs = Counted(tmp_path, Quota())
    names = [f"e-{n}" for n in range(20)]
    logs.append([Append(name, Piece(STDOUT, 0, b"text")) for name in names])
    await LogBook(logs, 0).forget(names)
    assert logs.calls == 1 and not any(logs.place(name) for name in names)


async def test_all_parts_start_a_slice_in_each_transaction(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        assert largest(house) == (SLICE, 0)
        assert await job_state(house, job_id) == "Running"
        assert house.orch.queue.is_idle and not house.orch.queue.waiting


async def test_who_is_less_urgent_gets_nothing_between_two_slices(tmp_path):
    async with open_house(tmp_path) as house:
        await house.join("n-1", cpu=CPU)
        large = await submit(house, wanted("large", cpu="0.001", count=PARTS, priority=1))
        await submit(house, wanted("small", cpu="0.001"))
        await house.settle()
        assert {e.job_id for e in await house.live()} == {large}


async def test_a_stop_is_answered_at_once_and_ends_everything_slice_by_slice(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        house.orch.store = Unread(house.orch.store)
        await stop_job(house.orch, job_id, "default", "a test")
        assert await job_state(house, job_id) == "Stopped"
        assert len(await house.live()) == PARTS
        await evaluate_some(house.orch)
        assert len(await house.live()) == PARTS - SLICE
        await house.settle()
        found, _ = await states(house, job_id)
        assert found == {ComputeStateType.CANCELLED: PARTS} and largest(house) == (SLICE, SLICE)
        assert not house.orch.cluster.held_on("n-1")


async def test_a_large_job_is_stopped_and_changed_without_a_copy_of_its_view(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        house.orch.store = looking = Looking(house.orch.store)
        await submit(house, wanted("large", cpu="0.001", count=PARTS, priority=1))
        await stop_job(house.orch, job_id, "default", "a test")
        assert looking.copies == 1


@pytest.mark.parametrize("slices", [0, 1, 2])
async def test_a_stop_that_was_cut_short_by_a_crash_goes_on_after_the_restart(tmp_path, slices):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        await stop_job(house.orch, job_id, "default", "a test")
        for _ in range(slices):
            await evaluate_some(house.orch)
    async with open_house(tmp_path) as house:
        assert len(await house.live()) == PARTS - slices * SLICE
        await load_state(house.orch)
        assert await job_state(house, job_id) == "Stopped"
        await house.settle()
        found, texts = await states(house, job_id)
        assert found == {ComputeStateType.CANCELLED: PARTS} and len(texts) == 1
        told = await house.orch.store.list_messages("n-1", 0, 0)
        assert Counter(message.type for message in told)["CancelExecution"] == PARTS


async def test_the_end_of_what_was_stopped_is_noted_without_an_evaluation(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        await stop_job(house.orch, job_id, "default", "a test")
        await house.settle()
        house.orch.store = Unread(house.orch.store)
        stopped = (await house.orch.store.list_executions(job_id, -1))[0]
        told = ComputeError(execution_id=stopped.id, job_id=job_id)
        await on_message(house.orch, Delivery("n-1", "ComputeError", told))
        noted, _ = await house.orch.store.load_execution(stopped.id)
        assert "EndedAt" in noted.compute_state.details
        assert not house.orch.queue.is_due(now_ns())


async def test_nothing_is_read_for_an_evaluation_that_was_asked_for_before_the_job_ended(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        for execution in await house.live():
            await house.tell(execution, "done")
        house.orch.store = Unread(house.orch.store)
        await house.settle()
        assert await job_state(house, job_id) == "Completed"
        house.orch.queue.add(job_id)
        await house.settle()
        assert house.orch.queue.is_idle


async def test_a_stopped_job_leaves_its_turn_at_the_quota_to_the_next_one(tmp_path):
    """It was to start something, and nothing of it runs any more."""
    async with open_house(tmp_path) as house:
        house.orch.cluster.quotas = Quotas({"*": Share(executions=1)})
        await house.join("n-1", cpu=1000)
        large = await submit(house, wanted("large", count=2 * FEW))
        await house.settle()
        for _ in range(FEW):
            await house.tell(*await house.live(), "done")
            await house.settle()
        urgent = await submit(house, wanted("urgent", priority=1))
        last = await submit(house, wanted("last"))
        for job_id in (large, urgent):
            await house.settle()
            assert {e.job_id for e in await house.live()} == {job_id}
            await house.tell(*await house.live(), "done")
        await stop_job(house.orch, large, "default", "a test")
        await house.settle()
        assert {e.job_id for e in await house.live()} == {last}


async def test_the_parts_of_a_large_job_share_all_that_is_alike_in_them(tmp_path):
    """A server keeps 100,000 of them in memory, and its garbage collection must not look through them."""
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        held = [house.orch.cluster.find_held(execution_id) for execution_id in house.orch.cluster.held_on("n-1")]
        assert len(held) == PARTS and not any(map(gc.is_tracked, held)) and len({id(h.need) for h in held}) == 1
        await stop_job(house.orch, job_id, "default", "a test")
        await house.settle()
        begun = [e for change in house.orch.store.changes for e in change.new_executions]
        ended = [e for change in house.orch.store.changes for e in change.executions]
        assert len(begun) == len(ended) == PARTS
        for executions in (begun, ended):
            parts = ((e.allocated_resources, e.compute_state, e.desired_state, e.run_output) for e in executions)
            assert [len(set(map(id, alike))) for alike in zip(*parts, strict=True)] == [1, 1, 1, 1]


async def test_a_large_job_that_is_over_is_evaluated_again_after_a_rerun(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        await stop_job(house.orch, job_id, "default", "a test")
        await house.settle()
        await rerun_job(house.orch, job_id, "default", 0, "")
        await house.settle()
        assert len(await house.live()) == PARTS


async def test_a_job_that_fails_ends_its_other_parts_for_that_reason(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        await house.tell((await house.live())[0], "failed")
        await house.settle()
        assert await job_state(house, job_id) == "Failed"
        found, texts = await states(house, job_id)
        assert found == {ComputeStateType.FAILED: 1, ComputeStateType.CANCELLED: PARTS - 1}
        assert texts == {"execution failed", "Execution stopped due to job failure"}


async def test_a_new_version_replaces_all_parts_slice_by_slice(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house)
        await submit(house, wanted("large", cpu="0.001", count=PARTS), force=True)
        await house.settle()
        assert {e.job_version for e in await house.live()} == {2} and len(await house.live()) == PARTS
        assert max(largest(house)) == SLICE
        assert await job_state(house, job_id) == "Running"


async def test_the_parts_of_a_deleted_node_move_slice_by_slice(tmp_path):
    async with open_house(tmp_path) as house:
        job_id = await start_large(house, kind="service")
        await house.join("n-2", cpu=CPU)
        assert await delete_node(house.orch, "n-1")
        await house.settle()
        found, texts = await states(house, job_id)
        ended = found[ComputeStateType.FAILED] + found[ComputeStateType.CANCELLED]
        assert ended == PARTS and max(largest(house)) == SLICE, texts
