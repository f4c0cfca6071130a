"""A job that has ended can be deleted: its records, its output, and what it alone published to the content store."""

import pytest

from bacalhau.client.client import AsyncClient
from bacalhau.config.schema import Config, Orchestrator, Retention
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.lib.ids import new_execution_id
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import JobState
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from tests.api.room import JOBS, a_job, open_room


async def publish(room, folder, job_id, **files):
    """Have an execution of a job publish a folder of files; the job and it have ended then. Returns its CID."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    result = Result(folder, SpecConfig(type="ipfs"), job_id, "e-1", "n-1", 0)
    published = await IpfsPublisher(room.orch.content).publish(result, ignore)
    await end(room, job_id, published)
    return published.params["CID"]


async def end(room, job_id, published):
    execution = Execution(
        id=new_execution_id(),
        job_id=job_id,
        job_version=1,
        revision=1,
        published_result=published,
        create_time=now_ns(),
        modify_time=now_ns() + 10**9,
        compute_state=ComputeState(state_type=ComputeStateType.COMPLETED),
    )
    job = await room.orch.store.find_job(job_id)
    done = job.moved(JobStateType.COMPLETED, now_ns())
    await room.orch.commit(Change(jobs=(done,), new_executions=(execution,)))


async def test_a_deleted_job_is_gone_with_what_it_alone_published(tmp_path):
    async with open_room(tmp_path) as room, AsyncClient(room.url) as client:
        first, second = await room.submit(Name="first"), await room.submit(Name="second")
        mine = await publish(room, tmp_path / "a", first, own="only here", both="in both")
        other = await publish(room, tmp_path / "b", second, both="in both")
        deleted = await client.delete(first)
        assert (deleted.job_id, deleted.kept_results) == (first, ()) and deleted.freed_bytes > 0
        with pytest.raises(NotFound):
            await client.get_job(first)
        assert [job.name for job in (await client.list_jobs()).items] == ["second"]
        with pytest.raises(NotFound):
            await room.orch.content.get(mine)
        assert await room.orch.content.get(other)
        assert (await room.http.get(f"/ipfs/{other}/both")).text == "in both"


async def test_results_elsewhere_stay_and_are_named(tmp_path):
    async with open_room(tmp_path) as room, AsyncClient(room.url) as client:
        job_id = await room.submit()
        await end(room, job_id, SpecConfig(type="s3", params={"Bucket": "b", "Key": "k"}))
        deleted = await client.delete(job_id)
    assert (deleted.freed_bytes, deleted.kept_results) == (0, ("s3",))


async def ended(room):
    """A job that ended without a result."""
    job_id = await room.submit(Name="ended")
    await end(room, job_id, SpecConfig())
    return job_id


async def test_a_job_that_goes_on_is_not_deleted(tmp_path):
    async with open_room(tmp_path) as room, AsyncClient(room.url) as client:
        job_id = await room.submit()
        with pytest.raises(Conflict, match="only a job that has ended can be deleted") as refused:
            await client.delete(job_id)
        assert refused.value.hint == "stop it first"
        assert (await client.get_job(job_id)).state == JobState(state_type=JobStateType.PENDING)


async def test_a_job_that_is_not_there_and_one_that_was_deleted_are_not_found(tmp_path):
    async with open_room(tmp_path) as room:
        job_id = await ended(room)
        answers = [await room.http.post(f"{JOBS}/{job_id}/delete") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 404]


async def test_the_same_name_again_is_a_new_job(tmp_path):
    async with open_room(tmp_path) as room, AsyncClient(room.url) as client:
        old = await ended(room)
        await client.delete(old)
        answer = await room.http.put(JOBS, json={"Job": a_job(Name="ended")})
        assert answer.json()["JobID"] != old
        assert (await client.get_job("ended")).version == 1


async def test_what_is_kept_on_the_disk_is_told_by_area(tmp_path):
    config = Config(data_dir=str(tmp_path), orchestrator=Orchestrator(retention=Retention(content_max_total="5Gb")))
    (tmp_path / "orchestrator" / "content" / "ab").mkdir(parents=True)
    (tmp_path / "orchestrator" / "content" / "ab" / "block").write_bytes(b"x" * 9000)
    async with open_room(tmp_path / "room", config) as room, AsyncClient(room.url) as client:
        (area,) = [area for area in await client.storage() if "IPFS" in area.name]
    assert area.path == str(tmp_path / "orchestrator" / "content")
    assert (area.files, area.limit) == (1, 5 * 10**9) and 9000 <= area.bytes < 20_000
