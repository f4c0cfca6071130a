"""What the store's readers promise: looking jobs up, lists, versions, executions, history."""

import pytest
from msgspec.structs import replace

from bacalhau.lib.errors import BadRequest, Conflict, NotFound
from bacalhau.models.execution.execution import ComputeStateType, DesiredState, DesiredStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.ports.store import HistoryCursor, HistoryQuery, JobQuery, Place, Store
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, an_execution, entry, submitted


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore(tmp_path / "data" / "store.db") as opened:
        port: Store = opened
        yield port


async def test_a_job_is_found_by_name_then_id_then_prefix(store):
    first, second = a_job(0x11110001), a_job(0x11120002, name="mine")
    elsewhere = a_job(3, name="mine", namespace="lab")
    named_like_an_id = a_job(4, name=first.id, namespace="lab")
    for job in (first, second, elsewhere, named_like_an_id):
        await store.apply(submitted(job))
    assert await store.find_job("mine") == second
    assert await store.find_job("mine", "default") == second
    assert await store.find_job("mine", "lab") == elsewhere
    assert await store.find_job(second.id, "lab") == second
    assert await store.find_job(first.id) == first
    assert await store.find_job(first.id, "lab") == named_like_an_id
    assert await store.find_job("j-11110001") == first
    assert await store.find_job("j-1111", "lab") == first


async def test_a_job_that_is_not_found_or_not_the_only_one(store):
    for number in (0x11110001, 0x11110002):
        await store.apply(submitted(a_job(number)))
    with pytest.raises(Conflict, match=r"^multiple jobs found for id j-1111$") as caught:
        await store.find_job("j-1111")
    assert (caught.value.hint, caught.value.component) == ("Use full job ID", "JobStore")
    for text in ("j-nope", "", "%", "j-1111000_", a_job(9).id):
        with pytest.raises(NotFound, match=f"^job not found: {text}$") as missing:
            await store.find_job(text)
        assert missing.value.component == "JobStore"


async def test_lists_are_ordered_filtered_and_paged(store):
    jobs = [a_job(n, modify_time=100 - n, namespace="lab" if n % 2 else "default") for n in range(1, 7)]
    for job in jobs:
        await store.apply(submitted(job))
    assert await store.list_jobs(JobQuery()) == jobs
    assert await store.list_jobs(JobQuery("*", reverse=True)) == jobs[::-1]
    assert await store.list_jobs(JobQuery(order_by="modified_at")) == jobs[::-1]
    assert await store.list_jobs(JobQuery("lab", order_by="id", reverse=True)) == jobs[::2][::-1]
    assert await store.list_jobs(JobQuery("default", limit=2, after=Place(20, jobs[1].id))) == jobs[3::2]
    assert await store.list_jobs(JobQuery("nowhere")) == []
    with pytest.raises(BadRequest):
        await store.list_jobs(JobQuery(order_by="name"))


async def test_pages_of_equal_times_do_not_overlap(store):
    jobs = [a_job(n, create_time=7) for n in range(1, 6)]
    for job in reversed(jobs):
        await store.apply(submitted(job))
    pages = [
        await store.list_jobs(JobQuery(limit=2, after=after))
        for after in (None, Place(7, jobs[1].id), Place(7, jobs[3].id))
    ]
    assert [job for page in pages for job in page] == jobs


async def test_open_jobs_are_those_not_finished(store):
    waiting, running, done = a_job(1), a_job(2), a_job(3)
    for job in (waiting, running, done):
        await store.apply(submitted(job))
    running = running.moved(JobStateType.RUNNING, 50)
    done = done.moved(JobStateType.FAILED, 50)
    await store.apply(Change(jobs=(running, done)))
    assert await store.list_open_jobs() == [waiting, running]
    again = replace(done.moved(JobStateType.PENDING, 60), version=2)
    await store.apply(Change(jobs=(again,)))
    assert await store.list_open_jobs() == [waiting, running, again]


async def test_every_version_stays_with_its_last_state(store):
    job = a_job(1)
    await store.apply(submitted(job))
    done = job.moved(JobStateType.COMPLETED, 50)
    await store.apply(Change(jobs=(done,)))
    second = replace(
        done, version=2, revision=3, count=2, state=JobState(state_type=JobStateType.PENDING, message="job rerun")
    )
    await store.apply(Change(jobs=(second,)))
    running = second.moved(JobStateType.RUNNING, 70)
    await store.apply(Change(jobs=(running,)))
    assert await store.list_job_versions(job.id) == [done, running]
    assert await store.get_job_version(job.id, 1) == done
    assert await store.get_job_version(job.id, 2) == await store.get_job_version(job.id, 0) == running
    with pytest.raises(NotFound, match=f"^job version 3 not found for job {job.id}$"):
        await store.get_job_version(job.id, 3)
    assert await store.list_job_versions("j-nope") == []


async def test_executions_come_with_the_job_as_it_was_when_its_version_began(store):
    job = a_job(1)
    first = replace(an_execution(job, 1), job=job)
    await store.apply(Change(new_jobs=(job,), new_executions=(first,)))
    updated = replace(job, version=2, revision=2)
    second = an_execution(updated, 2)
    third = an_execution(updated, 3)
    await store.apply(Change(jobs=(updated,), new_executions=(third, second)))
    await store.apply(Change(jobs=(updated.moved(JobStateType.RUNNING, 9),)))
    of_latest = [replace(second, job=updated), replace(third, job=updated)]
    assert await store.list_executions(job.id, 0) == of_latest
    assert await store.list_executions(job.id, 2) == of_latest
    assert await store.list_executions(job.id, 1) == [first]
    assert await store.list_executions(job.id, -1) == [first, *of_latest]
    assert await store.list_executions("j-nope", 0) == []


async def test_views_hold_the_current_job_and_all_its_executions(store):
    job, other, lonely = a_job(1), a_job(2), a_job(3)
    mine = [an_execution(job, 1), an_execution(job, 3)]
    theirs = an_execution(other, 2)
    await store.apply(Change(new_jobs=(job, other, lonely), new_executions=(*mine, theirs)))
    running = job.moved(JobStateType.RUNNING, 50)
    await store.apply(Change(jobs=(running,)))
    views = await store.load_views([job.id, other.id, lonely.id, "j-nope"])
    assert views == {
        job.id: JobView(running, tuple(mine)),
        other.id: JobView(other, (theirs,)),
        lonely.id: JobView(lonely, ()),
    }
    assert await store.load_views([]) == {}
    assert await store.load_execution(theirs.id) == (theirs, other)
    with pytest.raises(NotFound, match=r"^execution not found: e-nope$"):
        await store.load_execution("e-nope")


async def test_live_executions_are_those_that_hold_capacity(store):
    job = a_job(1)
    live, ended, stopped = (an_execution(job, n) for n in (1, 2, 3))
    await store.apply(Change(new_jobs=(job,), new_executions=(live, ended, stopped)))
    ended = ended.moved(ComputeStateType.COMPLETED, 9)
    stopped = replace(stopped, desired_state=DesiredState(state_type=DesiredStateType.STOPPED), revision=2)
    await store.apply(Change(executions=(ended, stopped)))
    assert await store.list_live_executions() == [live]


async def test_events_of_all_jobs_are_read_in_order_and_from_any_place_on(store):
    first, second = a_job(2), a_job(1, namespace="lab")
    await store.apply(submitted(first))
    await store.apply(submitted(second))
    await store.apply(
        Change(history=(entry(second, "asked", "e-12"), entry(first, "asked", "e-34"), entry(second, "ran", "e-12")))
    )
    found = await store.list_events(HistoryCursor(0), 10)
    assert [(e.namespace, e.event.job_id, e.event.seq_num) for e in found[:2]] == [
        ("default", first.id, 1),
        ("lab", second.id, 1),
    ]
    assert sorted((e.event.job_id, e.event.seq_num) for e in found[2:]) == sorted(
        [(first.id, 2), (second.id, 2), (second.id, 3)]
    )
    assert [e.place for e in found] == sorted(e.place for e in found)
    for number, stored in enumerate(found):
        assert await store.list_events(stored.place, 10) == found[number + 1 :]
    assert await store.list_events(found[0].place, 2) == found[1:3]
    whole = await store.list_history(HistoryQuery(second.id))
    assert [e.event for e in found if e.event.job_id == second.id] == whole


async def test_history_is_numbered_in_each_job_and_filtered(store):
    job, other = a_job(1), a_job(2)
    await store.apply(submitted(job))
    await store.apply(submitted(other))
    await store.apply(
        Change(history=(entry(job, "asked", "e-12"), entry(job, "ran", "e-12"), entry(job, "asked", "e-34")))
    )
    updated = replace(job, version=2, revision=2)
    await store.apply(Change(jobs=(updated,), history=(entry(updated, "Job updated"), entry(updated, "asked", "e-56"))))

    async def seqs(**query):
        return [item.seq_num for item in await store.list_history(HistoryQuery(job.id, **query))]

    assert await seqs() == [1, 2, 3, 4, 5, 6]
    assert await seqs(job_version=1) == [1, 2, 3, 4]
    assert await seqs(job_version=0) == [5, 6]
    assert await seqs(job_version=-1) == await seqs(job_version=-1, limit=0) == [1, 2, 3, 4, 5, 6]
    assert await seqs(job_version=-1, limit=2, after_seq=3) == [4, 5]
    assert await seqs(job_version=-1, level="JobLevel") == [1, 5]
    assert await seqs(job_version=-1, level="ExecutionLevel") == [2, 3, 4, 6]
    assert await seqs(job_version=-1, execution_id="e-12") == await seqs(job_version=-1, execution_id="e-1") == [2, 3]
    assert await seqs(job_version=-1, since=4_000_000_000) == []
    assert await seqs(job_version=-1, since=1_600_000_000) == [1, 2, 3, 4, 5, 6]
    first, _, third, *_ = await store.list_history(HistoryQuery(job.id, job_version=-1))
    assert (first.type, first.execution_id, first.event.message, first.job_id) == (
        "JobLevel",
        "",
        "Job submitted",
        job.id,
    )
    assert (third.type, third.execution_id, third.event.message, third.job_version) == (
        "ExecutionLevel",
        "e-12",
        "ran",
        1,
    )
    assert third.time >= first.time > "2020"
    assert [item.seq_num for item in await store.list_history(HistoryQuery(other.id))] == [1]
    assert await store.list_history(HistoryQuery("j-nope")) == []
