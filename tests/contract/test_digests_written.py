"""The SHA-256 of what is published: right for every publisher, and made of the bytes as they go, with one read."""

import hashlib
import os
import random
from contextlib import asynccontextmanager

import pytest

from bacalhau.compute.execution.reading import begin_written, complete_written
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.local.publisher import LocalPublisher
from bacalhau.plugins.s3.managed import ManagedBucket, S3ManagedPublisher
from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Result
from tests.support.ports import free_port
from tests.support.reads import opened_below

pytestmark = pytest.mark.usefixtures("credentials")
BLOCK, CHUNK = 1 << 20, 1 << 18  # what is read of a file at a time for an archive, and for content


def bodies():
    sizes = (0, 1, CHUNK, CHUNK + 1, BLOCK, 2 * BLOCK, 2 * BLOCK + 1, 9 * BLOCK)
    made = random.Random(1)
    return {f"outputs/{n % 2}/{size}": made.randbytes(size) for n, size in enumerate(sizes)} | {"stdout": b"out\n"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "e-1" / "result"
    for name, data in bodies().items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(data)
    (made / "outputs" / "link").symlink_to("../stdout")
    (made / "outputs" / "hard").hardlink_to(made / "stdout")
    (made / "outputs" / "empty").mkdir()
    return made


@asynccontextmanager
async def publisher_of(kind, s3, tmp_path, bucket):
    if kind == "local":
        async with LocalPublisher(tmp_path / "kept", "127.0.0.1", free_port()) as made:
            yield made, SpecConfig(type="local")
    elif kind == "ipfs":
        yield IpfsPublisher(BlockStore(tmp_path / "store")), SpecConfig(type="ipfs")
    elif kind == "s3managed":
        place = ManagedBucket(bucket, "us-east-1", s3.url, "r", 600)
        yield S3ManagedPublisher(place.sign_upload), SpecConfig(type="s3managed")
    else:
        made = S3Publisher()
        params = {"Bucket": bucket, "Key": "r-{executionID}", "Endpoint": s3.url, "Region": "us-east-1"}
        yield made, SpecConfig(type="s3", params=params)
        await made.close()


@pytest.mark.parametrize("kind", ["local", "ipfs", "s3", "s3managed"])
async def test_files_are_hashed_as_they_go_and_read_once(s3, bucket, tmp_path, folder, kind):
    async with publisher_of(kind, s3, tmp_path, bucket) as (publisher, spec):
        with opened_below(folder) as opened:
            written = begin_written(folder.parent)
            await publisher.publish(Result(folder, spec, "j-1", "e-1", "n-1", 0, written=written), ignore)
            complete_written(written, folder)
        files = bodies() | {"outputs/hard": b"out\n"}
        assert opened.paths == sorted(str(folder / name) for name in files)
        assert {row.path: (row.size, row.sha256) for row in written.rows} == {
            name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
        }


async def test_a_plain_result_reads_only_what_goes_in_parts_twice(s3, bucket, tmp_path):
    folder, parts = tmp_path / "e-1" / "result", "outputs/1/" + str(9 * BLOCK)
    for name, data in bodies().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    params = {"Bucket": bucket, "Key": "p-{executionID}/", "Endpoint": s3.url, "Region": "us-east-1"}
    spec, publisher = SpecConfig(type="s3", params=params | {"Encoding": "plain"}), S3Publisher()
    with opened_below(folder) as opened:
        written = begin_written(folder.parent)
        await publisher.publish(Result(folder, spec, "j-1", "e-1", "n-1", 0, written=written), ignore)
        complete_written(written, folder)
    await publisher.close()
    assert opened.paths == sorted(str(folder / name) for name in [*bodies(), parts])
    assert {row.path: row.sha256 for row in written.rows} == {
        name: hashlib.sha256(data).hexdigest() for name, data in bodies().items()
    }


@pytest.mark.parametrize("kind", ["local", "ipfs"])
async def test_a_name_that_is_no_text_is_told_as_it_is_when_files_are_hashed_later(s3, bucket, tmp_path, folder, kind):
    (folder / os.fsdecode(b"outputs/\xff\xfe")).write_bytes(b"odd")
    later = begin_written(tmp_path)
    complete_written(later, folder)
    async with publisher_of(kind, s3, tmp_path, bucket) as (publisher, spec):
        written = begin_written(folder.parent)
        await publisher.publish(Result(folder, spec, "j-1", "e-1", "n-1", 0, written=written), ignore)
    assert list(written.rows) == list(later.rows)


async def test_a_result_that_nobody_proves_is_published_all_the_same(s3, bucket, tmp_path, folder):
    for kind in ("local", "ipfs"):
        async with publisher_of(kind, s3, tmp_path, bucket) as (publisher, spec):
            assert await publisher.publish(Result(folder, spec, "j-1", "e-1", "n-1", 0), ignore)
