"""Forgetting finished jobs: the oldest first, whole, only what is over, in steps that let others write between them."""

import os

import pytest
from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import NotFound, Unavailable
from bacalhau.models.execution.execution import ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.orchestrator.retention.forget import Keeper
from bacalhau.orchestrator.state.forgotten import Forgetting
from bacalhau.orchestrator.state.inventories import Inventories
from bacalhau.orchestrator.state.limits import Retention
from bacalhau.orchestrator.state.outbox import Outbox
from bacalhau.orchestrator.state.proofs import Proofs
from bacalhau.orchestrator.state.specs import Specs
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.unixfs.cid import RAW, cid_of
from bacalhau.ports.store import HistoryQuery, JobQuery, Limits, Swept
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, an_execution, entry, submitted

COMPLETED = JobState(state_type=JobStateType.COMPLETED)
NOTHING = Swept([], [])


def a_keeper(store, folder, note, **limits):
    blocks = BlockStore(folder / "blocks")
    forgetting = Forgetting(store, Specs(blocks), Inventories(blocks), Proofs(blocks), Outbox(), note)
    return Keeper(forgetting, blocks, Retention(**limits))


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore(tmp_path / "store.db") as store:
        yield store


async def finish(store, number, ended=0, live=False):
    """A job that has ended at `ended`, with one execution and two events."""
    job = a_job(number)
    execution = an_execution(job, number)
    if not live:
        execution = replace(execution.moved(ComputeStateType.COMPLETED, 1), revision=1)
    await store.apply(
        Change(
            new_jobs=(job,),
            new_executions=(execution,),
            history=(entry(job, "submitted"), entry(job, "asked", execution.id)),
        )
    )
    await store.apply(Change(jobs=(replace(job, revision=2, state=COMPLETED, modify_time=ended or number),)))
    return job


async def left(store):
    return [job.create_time // 10 for job in await store.list_jobs(JobQuery())]


async def test_the_oldest_ends_go_first_by_age_and_by_number(store):
    for number in range(1, 9):
        await finish(store, number, ended=100 - number)
    ids = [a_job(n).id for n in range(9)]
    assert await store.list_expired_jobs(Limits(before=95), 10) == [ids[8], ids[7], ids[6]]
    assert await store.list_expired_jobs(Limits(before=95), 2) == [ids[8], ids[7]]
    assert await store.list_expired_jobs(Limits(keep=6), 10) == [ids[8], ids[7]]
    assert await store.list_expired_jobs(Limits(before=94, keep=4), 10) == [ids[8], ids[7], ids[6], ids[5]]
    assert await store.list_expired_jobs(Limits(), 10) == []


async def test_a_job_goes_with_everything_of_its_own_and_nothing_of_others(store):
    job, other = await finish(store, 1), await finish(store, 2)
    await store.forget_jobs([job.id])
    with pytest.raises(NotFound):
        await store.find_job(job.id)
    with pytest.raises(NotFound):
        await store.load_execution(an_execution(job, 1).id)
    assert await store.list_history(HistoryQuery(job.id)) == await store.list_job_versions(job.id) == []
    assert len(await store.list_history(HistoryQuery(other.id))) == 2
    assert len((await store.load_views([other.id]))[other.id].executions) == 1
    await store.apply(submitted(a_job(1)))  # its name and id are free again
    assert await store.sweep_forgotten(1) == (Swept([an_execution(job, 1).id], []), True)
    assert await store.sweep_forgotten(1) == (NOTHING, False)
    assert [h.seq_num for h in await store.list_history(HistoryQuery(job.id))] == [1]


async def test_open_jobs_and_jobs_with_something_on_a_node_stay(store):
    await store.apply(submitted(a_job(1)))
    await finish(store, 2, live=True)
    assert await store.list_expired_jobs(Limits(before=now_ns(), keep=1), 10) == []
    job = await finish(store, 3)
    assert await store.list_expired_jobs(Limits(before=now_ns()), 10) == [job.id]
    again = replace(job, revision=3, version=2, state=JobState(state_type=JobStateType.PENDING))
    await store.apply(Change(jobs=(again,)))
    await store.forget_jobs([job.id])
    assert await store.sweep_forgotten(10) == (NOTHING, False)
    assert len(await store.list_history(HistoryQuery(job.id))) == 2


async def test_the_keeper_forgets_to_the_limits_and_tells(store, tmp_path):
    for number in range(1, 251):
        await finish(store, number, ended=now_ns() - (3600 if number <= 30 else 0) * 1_000_000_000 + number)
    for number in range(5):
        await store.put_dead_letter("n-1", f"reason {number}", b"?")
    told = []

    async def note(executions):
        told.extend(executions)

    keeper = a_keeper(store, tmp_path, note, jobs_age=60, jobs_count=200, dead_letters_count=3)
    await keeper.forget()
    assert await left(store) == list(range(51, 251))
    assert len(told) == len(set(told)) == 50
    assert await store.forget_dead_letters(Limits(keep=2), 10) == 1
    await a_keeper(store, tmp_path, note).forget()
    assert len(await left(store)) == 200


async def test_much_is_forgotten_in_steps_and_others_write_between_them(store, tmp_path):
    for number in range(1, 251):
        await finish(store, number)
    steps = []

    async def note(executions):
        steps.append(len(executions))
        await store.apply(submitted(a_job(1000 + len(steps))))

    await a_keeper(store, tmp_path, note, jobs_age=1).forget()
    assert steps == [100, 100, 50]
    assert await left(store) == [1001, 1002, 1003]


async def test_a_large_job_is_forgotten_in_slices_also_after_a_kill_and_its_number_is_nobody_elses(store, tmp_path):
    job = a_job(1)
    executions = [
        replace(an_execution(job, n).moved(ComputeStateType.COMPLETED, 1), revision=1) for n in range(1, 2501)
    ]
    history = tuple(entry(job, "asked", e.id) for e in executions)
    await store.apply(Change(new_jobs=(job,), new_executions=tuple(executions), history=history))
    await store.apply(Change(jobs=(replace(job, revision=2, state=COMPLETED),)))
    slices = []

    async def note(executions):
        slices.append(len(executions))
        if len(slices) == 2:
            raise Unavailable("killed here")

    keeper = a_keeper(store, tmp_path, note, jobs_age=1)
    with pytest.raises(Unavailable):
        await keeper.forget()
    assert await left(store) == []
    await store.apply(submitted(a_job(2)))
    assert (await store.load_views([a_job(2).id]))[a_job(2).id].size == 0
    await keeper.forget()
    assert slices == [1000, 1000, 500]
    assert await store.sweep_forgotten(10) == (NOTHING, False)
    assert len(await store.list_history(HistoryQuery(a_job(2).id))) == 1


async def test_old_content_goes_and_what_is_published_again_stays(tmp_path):
    blocks = BlockStore(tmp_path)
    old, again = b"old", b"again"
    names = [str(cid_of(block, RAW, 1)) for block in (old, again)]
    await blocks.put(dict(zip(names, (old, again), strict=True)))
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        os.utime(path, (0, 0))
    before = now_ns() - 3600 * 1_000_000_000
    assert await blocks.missing(names[1:]) == []
    assert await blocks.forget(before) == 1
    assert await blocks.missing(names) == names[:1]
    assert await blocks.get(names[1]) == again
    assert await blocks.forget(before) == 0
