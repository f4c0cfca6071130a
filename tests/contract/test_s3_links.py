"""A plain result reaches a client that has no credentials, by links that the orchestrator signs object by object."""

import asyncio
import os
import sys

import pytest

from bacalhau.config.load import load_config
from bacalhau.config.schema import Config
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.ids import new_execution_id
from bacalhau.models.execution.execution import ComputeState, ComputeStateType, Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.sign import make_part
from bacalhau.ports.plugin import LinkWish
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Published, Result
from tests.api.room import JOBS, a_job, open_room
from tests.contract.test_s3_source import read_tree
from tests.support.system import OWNER, bare_environment

COUNT = 1100  # files: more than one page of a listing, and than one batch of links


@pytest.fixture(autouse=True)
def owner(monkeypatch):
    for name, value in OWNER.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "tree", 12)


def make_tree(folder, count):
    (folder / "outputs" / "a b").mkdir(parents=True)
    for number in range(count):
        (folder / "outputs" / f"{number:04}+ü%").write_text(f"{number}")
    (folder / "outputs" / "a b" / "large").write_bytes(os.urandom(3 << 20))
    (folder / "stdout").write_text("out\n")
    return folder


async def publish(room, place, tree, key="links/{executionID}/"):
    """A job that published a tree, and ended."""
    url, bucket = place
    params = {"Bucket": bucket, "Key": key, "Endpoint": url, "Region": "us-east-1", "Encoding": "plain"}
    wanted = SpecConfig(type="s3", params=params)
    job = a_job()
    job["Tasks"][0]["Publisher"] = {"Type": "s3", "Params": params}
    answer = await room.http.put(JOBS, json={"Job": job})
    job_id, execution_id = answer.json()["JobID"], new_execution_id()
    publisher = S3Publisher()
    published = await publisher.publish(Result(tree, wanted, job_id, execution_id, "n-1", now_ns()), ignore)
    await publisher.close()
    execution = Execution(
        id=execution_id,
        job_id=job_id,
        node_id="n-1",
        job_version=1,
        revision=1,
        published_result=published,
        create_time=now_ns(),
        modify_time=now_ns(),
        compute_state=ComputeState(state_type=ComputeStateType.COMPLETED),
    )
    stored = await room.orch.store.find_job(job_id)
    done = stored.moved(JobStateType.COMPLETED, now_ns())
    await room.orch.commit(Change(jobs=(done,), new_executions=(execution,)))
    return job_id, execution_id


def sign(room, config=None):
    """Have the room's orchestrator sign links as the configuration says."""
    part = make_part(config or Config())
    if part.presign and part.sign_links:
        room.orch.presign, room.orch.sign_links = part.presign, part.sign_links


async def get(room, tmp_path, job_id):
    """`bacalhau get` by somebody who has no credentials; its exit code and what it said."""
    (tmp_path / "got").mkdir(exist_ok=True)
    start = [sys.executable, "-c", "from bacalhau.cli.main import main; main()"]
    command = [*start, "job", "get", job_id, "--output-dir", str(tmp_path / "got")]
    host, _, port = room.url.removeprefix("http://").partition(":")
    environment = bare_environment(tmp_path) | {"BACALHAU_API_HOST": host, "BACALHAU_API_PORT": port}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_client_without_credentials_gets_every_object(store, s3, tmp_path):
    """Many objects of one server; of the others a few show that they understand the links."""
    tree = make_tree(tmp_path / "tree", COUNT if store is s3 else 12)
    async with open_room(tmp_path / "room") as room:
        sign(room)
        job_id, _ = await publish(room, (store.url, store.new_bucket()), tree)
        code, said = await get(room, tmp_path, job_id)
        assert code == 0, said
    assert read_tree(tmp_path / "got") == read_tree(tree)


async def test_a_part_of_the_result(s3, tree, tmp_path):
    async with open_room(tmp_path / "room") as room:
        sign(room)
        job_id, _ = await publish(room, (s3.url, s3.new_bucket()), tree)
        code, said = await get(room, tmp_path, f"{job_id}/outputs/a b")
        assert code == 0, said
    assert list(read_tree(tmp_path / "got")) == ["outputs/a b/large"]


async def test_an_object_that_was_changed_is_not_taken(s3, tree, tmp_path):
    bucket = s3.new_bucket()
    async with open_room(tmp_path / "room") as room:
        sign(room)
        job_id, execution_id = await publish(room, (s3.url, bucket), tree)
        large = f"links/{execution_id}/outputs/a b/large"
        metadata = s3.boto.head_object(Bucket=bucket, Key=large)["Metadata"]
        s3.boto.put_object(Bucket=bucket, Key=large, Body=os.urandom(3 << 20), Metadata=metadata)
        code, said = await get(room, tmp_path, job_id)
    assert code == 1 and "checksum mismatch" in said


async def test_nothing_is_offered_where_links_are_off_and_the_reason_is_that_of_the_server(s3, tree, tmp_path):
    config = load_config(["Publishers.Types.S3.PreSignedURLDisabled=true"], {"HOME": str(tmp_path)}, {})
    async with open_room(tmp_path / "room") as room:
        sign(room, config)
        job_id, execution_id = await publish(room, (s3.url, s3.new_bucket()), tree)
        code, said = await get(room, tmp_path, job_id)
        body = {"ExecutionID": execution_id}
        answer = await room.http.post(f"{JOBS}/{job_id}/results/links", json=body)
    assert code == 1 and "denied" in said.lower()
    assert answer.status_code == 400 and "signs no links" in answer.text


async def test_only_what_belongs_to_the_result_is_signed(s3, tree, tmp_path):
    async with open_room(tmp_path / "room") as room:
        sign(room)
        job_id, execution_id = await publish(room, (s3.url, s3.new_bucket()), tree)
        other = await room.submit(Name="other")
        url = "{}/{}/results/links"
        asked = {"ExecutionID": execution_id, "Keys": ["links/e-other/outputs/x"]}
        strange = await room.http.post(url.format(JOBS, job_id), json=asked)
        foreign = await room.http.post(url.format(JOBS, other), json={"ExecutionID": execution_id})
        nothing = await room.http.post(url.format(JOBS, job_id), json={"ExecutionID": "e-none"})
        many = await room.http.post(url.format(JOBS, job_id), json={"ExecutionID": execution_id, "Keys": ["x"] * 1001})
    assert [answer.status_code for answer in (strange, foreign, nothing, many)] == [400, 404, 404, 400]
    assert "is not one of the result" in strange.text and "more than 1000" in many.text


async def test_an_archive_has_no_links_to_parts():
    params = {"Bucket": "b", "Key": "k.tar.gz"}
    published = Published(SpecConfig("s3", params), SpecConfig("s3", params), "j", "e", "n")
    with pytest.raises(BadRequest, match="one object"):
        await make_part(Config()).sign_links(published, LinkWish())
