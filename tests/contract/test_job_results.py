"""Results of one job as inputs of another, whatever keeps them: published, listed and brought by the real parts."""

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from bacalhau.lib.errors import Forbidden, StorageFailure
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.taken import TakenResult, divide_input
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.clouds.cloud import Endpoints
from bacalhau.plugins.clouds.publisher import CloudPublisher
from bacalhau.plugins.clouds.source import CloudSource
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.ipfs.publisher import IpfsPublisher
from bacalhau.plugins.ipfs.source import IpfsSource
from bacalhau.plugins.job.source import JobSource
from bacalhau.plugins.local.publisher import LocalPublisher
from bacalhau.plugins.registry import own_plugins
from bacalhau.plugins.s3.ambient import AMBIENT
from bacalhau.plugins.s3.kept import KeptSource
from bacalhau.plugins.s3.managed import ManagedBucket, S3ManagedPublisher
from bacalhau.plugins.s3.signature import presigned_url
from bacalhau.plugins.url.source import UrlSource
from bacalhau.ports.progress import ignore
from bacalhau.ports.publisher import Published, Result
from bacalhau.ports.storage import Manifest
from tests.contract.test_s3_source import read_tree
from tests.support.ports import free_port

pytestmark = pytest.mark.usefixtures("credentials")
CHECKS = plugin_checks(own_plugins())


class Makers:
    """Publishers and sources of one node."""

    def __init__(self, folder, s3, s3_publisher, s3_source, clouds):
        self.folder, self._s3, self._s3_publisher = folder, s3, s3_publisher
        self._clouds = {each.cloud.kind: each for each in clouds}
        self._blocks = BlockStore(folder / "blocks")
        self._s3_source = s3_source
        self.managed = None

    async def open(self, stack):
        self._local = await stack.enter_async_context(LocalPublisher(self.folder / "kept", "127.0.0.1", free_port()))
        url = await stack.enter_async_context(UrlSource())
        kept = KeptSource(self.sign)
        stack.push_async_callback(kept.close)
        sources = {"ipfs": IpfsSource(self._blocks), "s3": self._s3_source, "urldownload": url, "s3managed": kept}
        self._cloud_publishers = {}
        for kind, server in self._clouds.items():
            sources[kind] = CloudSource(server.cloud, Endpoints())
            self._cloud_publishers[kind] = CloudPublisher(server.cloud, Endpoints())
            stack.push_async_callback(sources[kind].close)
            stack.push_async_callback(self._cloud_publishers[kind].close)
        self.source = JobSource(sources)

    async def sign(self, source):
        """Give the link that an orchestrator gives to a node which reads a result."""
        self.signed = await self.managed.sign_input(source)
        return self.signed

    async def publish(self, kind, bucket, number, **files):
        """Publish a tree; return the result as an orchestrator knows it."""
        tree = self.folder / f"tree-{number}"
        (tree / "outputs" / "sub").mkdir(parents=True)
        (tree / "stdout").write_text(f"out {number}\n")
        (tree / "outputs" / "data").write_bytes(os.urandom(300_000))
        (tree / "outputs" / "database").write_text("not asked for")
        (tree / "outputs" / "sub" / "x y").write_text(f"{number}")
        params = {"bucket": bucket, "key": "r/{executionID}", "endpoint": self._s3.url, "region": "us-east-1"}
        encoding = {"s3": "gzip", "s3plain": "plain"}.get(kind)
        spec = SpecConfig(type="s3", params=params | {"encoding": encoding}) if encoding else SpecConfig(type=kind)
        self.managed = ManagedBucket(bucket, "us-east-1", self._s3.url, "kept/", 60)
        managed = S3ManagedPublisher(self.managed.sign_upload)
        known = {
            "s3managed": managed,
            "ipfs": IpfsPublisher(self._blocks),
            "local": self._local,
        } | self._cloud_publishers
        if server := self._clouds.get(kind.removesuffix("plain")):
            encoding = "plain" if kind.endswith("plain") else "gzip"
            spec = server.spec(server.new_bucket(), "r/{executionID}", Encoding=encoding)
        publisher = known.get(spec.kind, self._s3_publisher)
        result = Result(tree, spec, "j-1", f"e-{number}", "n-1", 0)
        found = await publisher.publish(result, ignore)
        published = Published(found, spec, "j-1", f"e-{number}", "n-1")
        assert not CHECKS.results[spec.kind](published)
        return published


@pytest.fixture
async def makers(tmp_path, s3, publisher, source, gcs, azure):
    async with AsyncExitStack() as stack:
        found = Makers(tmp_path, s3, publisher, source, (gcs, azure))
        await found.open(stack)
        yield found


def take(published, path=""):
    found = CHECKS.readers[published.publisher.kind](published, path)
    return TakenResult(
        job_id="j-1",
        job_version=1,
        execution_id=published.execution_id,
        source=found.source,
        folder=published.execution_id.removeprefix("e-"),
        path=path,
        pick=found.pick,
        is_archive=found.is_archive,
    )


async def bring(source: JobSource, *taken: TakenResult, into: Path):
    """List each result by itself, as the orchestrator asks, and bring all of them."""
    spec = SpecConfig(type="job", params={"Job": "j-1", "Pinned": to_builtins(taken)})
    entries = []
    for item in divide_input(InputSource(source=spec, target="/in")):
        after = [""]
        while after:
            page = await source.list_page(item.source, after.pop())
            entries += page.entries
            after += page.following
    into.mkdir()
    return entries, (await source.fetch(Manifest(spec, tuple(entries)), into, ignore)).path


KINDS = ("ipfs", "s3", "s3plain", "s3managed", "local", "gcs", "gcsplain", "azure", "azureplain")


@pytest.mark.parametrize("kind", KINDS)
async def test_one_result_is_the_input_and_several_stand_in_folders(makers, bucket, kind):
    first, second = [await makers.publish(kind, bucket, number) for number in (0, 1)]
    entries, folder = await bring(makers.source, take(first), into=makers.folder / "one")
    assert read_tree(folder) == read_tree(makers.folder / "tree-0")
    assert entries and all(entry.path.startswith("0/") for entry in entries)
    _, both = await bring(makers.source, take(first), take(second), into=makers.folder / "both")
    assert {path.name for path in both.iterdir()} == {"0", "1"}
    assert read_tree(both / "1") == read_tree(makers.folder / "tree-1")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_part_of_a_result(makers, bucket, kind):
    published = await makers.publish(kind, bucket, 0)
    tree = read_tree(makers.folder / "tree-0")
    _, file = await bring(makers.source, take(published, "outputs/data"), into=makers.folder / "file")
    assert read_tree(file) == {"data": tree["outputs/data"]}
    _, below = await bring(makers.source, take(published, "outputs/sub"), into=makers.folder / "below")
    assert read_tree(below) == {"x y": b"0"}
    with pytest.raises(StorageFailure) as failure:
        await bring(makers.source, take(published, "outputs/dat"), into=makers.folder / "none")
    assert "outputs/dat" in failure.value.message and "\n" not in failure.value.message
    assert not failure.value.retryable


async def test_a_result_that_was_replaced_after_it_was_listed_is_refused(makers, bucket):
    published = await makers.publish("local", bucket, 0)
    spec = SpecConfig(type="job", params={"Job": "j-1", "Pinned": to_builtins((take(published),))})
    page = await makers.source.list_page(spec, "")
    (makers.folder / "kept" / "e-0.tar.gz").write_bytes(b"another")
    (makers.folder / "into").mkdir()
    with pytest.raises(StorageFailure, match="changed since it was listed"):
        await makers.source.fetch(Manifest(spec, page.entries), makers.folder / "into", ignore)


@pytest.mark.parametrize("kind", ["gcs", "azure"])
async def test_an_archive_that_is_not_the_published_one_is_refused_by_its_digest(makers, bucket, kind):
    """It was replaced before anybody listed it, so its size and ETag tell nothing."""
    published = await makers.publish(kind, bucket, 0)
    server, params = makers._clouds[kind], published.result.params
    server.put(params[server.word], params["Key"], b"another")
    with pytest.raises(StorageFailure, match=r"checksum mismatch for object r/e-0\.tar\.gz"):
        await bring(makers.source, take(published), into=makers.folder / "into")


async def test_an_archive_that_holds_more_than_the_disk_of_the_task_is_refused(makers, bucket):
    first, second = [await makers.publish("local", bucket, number) for number in (0, 1)]
    spec = SpecConfig(type="job", params={"Job": "j-1", "Pinned": to_builtins((take(first), take(second)))})
    (makers.folder / "into").mkdir()
    with pytest.raises(StorageFailure, match="holds more than"):
        await makers.source.fetch(Manifest(spec, (), room=400_000), makers.folder / "into", ignore)


async def test_a_node_that_gets_no_link_says_why_and_a_listing_goes_by_the_link_that_came_with_the_question(
    makers, bucket
):
    published = await makers.publish("s3managed", bucket, 0)

    async def refuse(source):
        raise Forbidden("node n-1 runs nothing that reads this result")

    kept = KeptSource(refuse)
    with pytest.raises(StorageFailure, match="no link to the result in the orchestrator's bucket: node n-1 runs"):
        await bring(JobSource({"s3managed": kept}), take(published), into=makers.folder / "into")
    found = await kept.resolve(await makers.managed.sign_input(published.result))
    await kept.close()
    assert [(entry.key, entry.size > 300_000, bool(entry.etag)) for entry in found.entries] == [
        ("e-0.tar.gz", True, True)
    ]


async def test_a_node_without_the_source_says_so(makers, bucket):
    published = await makers.publish("local", bucket, 0)
    with pytest.raises(StorageFailure, match="this node cannot read inputs from urldownload"):
        await bring(JobSource({}), take(published), into=makers.folder / "into")


class RanOut:
    """An orchestrator whose next links, `stale` many, have run out before they are used."""

    def __init__(self, managed):
        self._managed, self.stale = managed, 0

    async def __call__(self, source):
        signed = await self._managed.sign_input(source)
        if not self.stale:
            return signed
        self.stale -= 1
        place = signed.params["Link"].partition("?")[0]
        old = presigned_url(await AMBIENT.current(), "us-east-1", place, 60, "GET", "20200101T000000Z")
        return replace(signed, params=signed.params | {"Link": old})


async def test_a_link_that_ran_out_is_signed_anew_and_a_second_refusal_is_told_without_the_link(makers, bucket):
    published = await makers.publish("s3managed", bucket, 0)
    sign = RanOut(makers.managed)
    kept = KeptSource(sign)
    sign.stale = 1
    manifest = await kept.resolve(published.result)
    sign.stale = 1
    (makers.folder / "into").mkdir()
    await kept.fetch(manifest, makers.folder / "into", ignore)
    assert [path.stat().st_size for path in (makers.folder / "into").iterdir()] == [manifest.size]
    sign.stale = 2
    with pytest.raises(
        StorageFailure, match="refuses the signed link to the result of job j-1, execution e-0"
    ) as failed:
        await kept.resolve(published.result)
    assert "X-Amz" not in f"{failed.value.message} {failed.value.hint}" and not failed.value.retryable
    await kept.close()


async def test_a_result_in_the_orchestrators_bucket_that_is_gone_or_another_one_is_named(makers, bucket, s3):
    published = await makers.publish("s3managed", bucket, 0)
    kept = KeptSource(makers.managed.sign_input)
    manifest = await kept.resolve(published.result)
    for said in ("changed after it was listed", "is not in the orchestrator's bucket any more"):
        if said.startswith("changed"):
            s3.boto.put_object(Bucket=bucket, Key="kept/j-1/e-0.tar.gz", Body=b"another" * 50_000)
        else:
            s3.boto.delete_object(Bucket=bucket, Key="kept/j-1/e-0.tar.gz")
        into = makers.folder / said
        into.mkdir()
        with pytest.raises(StorageFailure, match=f"the result of job j-1, execution e-0 {said}"):
            await kept.fetch(manifest, into, ignore)
    await kept.close()
