"""The cache of inputs of a node with real servers: what was brought once is not brought again, and stays as it is."""

import asyncio
import os
import shutil
from contextlib import AsyncExitStack

import pytest

from bacalhau.app.cache import open_cache
from bacalhau.compute.messages.questions import on_request
from bacalhau.config.schema import Cache
from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import InputPresence, LocateInputsRequest
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.bus import Delivery
from tests.support.caching import MB, names, node_with, objects, stage, tree
from tests.support.faulty import FaultyProxy

pytestmark = pytest.mark.usefixtures("credentials")


class Counting(FaultyProxy):
    """Notes the bytes of each object that is read through it."""

    def __init__(self, target):
        super().__init__(target)
        self.read = {}

    async def fetch(self, request):
        status, headers, data = await super().fetch(request)
        if request.method == "GET" and "list-type" not in request.query:
            self.read[request.path] = self.read.get(request.path, 0) + len(data)
        return status, headers, data


@pytest.fixture
async def door(s3):
    async with Counting(s3.url).listen() as made:
        yield made


def spec(door, bucket, key="d/", **params):
    return SpecConfig(
        type="s3", params={"Bucket": bucket, "Key": key, "Endpoint": door.url, "Region": "us-east-1", **params}
    )


async def test_the_second_run_moves_nothing_and_one_changed_object_of_fifty_moves_alone(s3, bucket, door, tmp_path):
    bodies = {f"d/{n // 10}/{n:02d}": os.urandom(20_000) for n in range(50)}
    s3.fill(bucket, bodies)
    async with node_with(tmp_path) as node:
        first = await stage(node, "e-1", spec(door, bucket))
        assert sum(door.read.values()) == 50 * 20_000
        door.read.clear()
        steps = []
        second = await stage(node, "e-2", spec(door, bucket), report=steps.append)
        assert door.read == {}
        assert (steps[-1].done, steps[-1].total, steps[-1].bytes_done) == (50, 50, 50 * 20_000)
        assert first[0].host_path != second[0].host_path
        assert tree(second[0].host_path) == {key.removeprefix("d/"): body for key, body in bodies.items()}
        bodies["d/3/33"] = os.urandom(20_000)
        s3.fill(bucket, {"d/3/33": bodies["d/3/33"]})
        (third,) = await stage(node, "e-3", spec(door, bucket))
        assert door.read == {f"/{bucket}/d/3/33": 20_000}
        assert tree(third.host_path) == {key.removeprefix("d/"): body for key, body in bodies.items()}
        assert tree(first[0].host_path)["3/33"] != bodies["d/3/33"]
        assert await node.cache.measure(f"{door.url}/{bucket}/d/3") == 11 * 20_000


async def test_what_comes_from_the_cache_is_for_reading_only_and_without_a_copy(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"d/k": b"as it is"})
    async with node_with(tmp_path) as node:
        mounts = [(await stage(node, f"e-{n}", spec(door, bucket)))[0] for n in range(2)]
        assert [(mount.read_only, mount.own) for mount in mounts] == [(True, False)] * 2
        assert len({(mount.host_path / "k").stat().st_ino for mount in mounts}) == 1
        await node.cache.release("e-0")
        await node.cache.release("e-1")
        assert not [mount for mount in mounts if mount.host_path.exists()]
        assert [path.read_bytes() for path in objects(node)] == [b"as it is"]


async def test_a_task_that_asks_for_it_gets_a_copy_to_write_in(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"d/k": b"as it is"})
    async with node_with(tmp_path) as node:
        (mount,) = await stage(node, "e-1", spec(door, bucket, Writable=True))
        assert (mount.read_only, mount.own) == (False, True)
        assert mount.host_path.is_relative_to(node.execution_folder("e-1"))
        (mount.host_path / "k").write_bytes(b"changed!")
        (second,) = await stage(node, "e-2", spec(door, bucket))
        assert tree(second.host_path) == {"k": b"as it is"}
        assert door.read == {f"/{bucket}/d/k": 8}


async def test_two_that_want_the_same_at_once_bring_it_once(s3, bucket, door, tmp_path):
    s3.fill(bucket, {f"d/{n}": os.urandom(10_000) for n in range(20)})
    async with node_with(tmp_path) as node:
        staged = await asyncio.gather(*(stage(node, f"e-{n}", spec(door, bucket)) for n in range(5)))
        assert set(door.read.values()) == {10_000}
        assert len({tuple(tree(mounts[0].host_path).items()) for mounts in staged}) == 1


@pytest.mark.parametrize("ends", ["cancelled", "failed"])
async def test_who_waits_takes_over_when_the_first_one_ends_without_it(s3, bucket, door, tmp_path, ends):
    s3.fill(bucket, {f"d/{n}": os.urandom(10_000) for n in range(3)})
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def hold(proxy, request):
        begun.set()
        await may_end.wait()
        return await proxy.forward(request, 5)

    async with node_with(tmp_path, sources={"s3": (source := S3Source())}) as node:
        door.choose = lambda request: hold if request.path.endswith("/d/1") and not may_end.is_set() else None
        first = asyncio.ensure_future(stage(node, "e-1", spec(door, bucket)))
        await begun.wait()
        waits = asyncio.Event()
        second = asyncio.ensure_future(
            stage(node, "e-2", spec(door, bucket), report=lambda step: step.note.startswith("waiting") and waits.set())
        )
        await waits.wait()
        if ends == "failed":
            s3.fill(bucket, {"d/0": b"another", "d/1": b"another", "d/2": b"another"})
        else:
            first.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError if ends == "cancelled" else StorageFailure):
            await first
        if ends == "cancelled":
            assert len(tree((await second)[0].host_path)) == 3
        else:
            with pytest.raises(StorageFailure, match="changed after it was listed"):
                await second
            assert set(tree((await stage(node, "e-3", spec(door, bucket)))[0].host_path).values()) == {b"another"}
    await source.close()


async def test_what_is_not_used_goes_first_and_what_is_used_stays(s3, bucket, door, tmp_path):
    s3.fill(bucket, {f"{name}/k": os.urandom(400_000) for name in "abcd"})
    async with node_with(tmp_path, budget=MB) as node:
        await stage(node, "e-a", spec(door, bucket, "a/"))
        for name in "bc":
            await stage(node, f"e-{name}", spec(door, bucket, f"{name}/"))
            await node.cache.release(f"e-{name}")
        assert await names(node) == {"a", "c"}  # b was used before c, and a runs
        await stage(node, "e-c2", spec(door, bucket, "c/"))
        (own,) = await stage(node, "e-d", spec(door, bucket, "d/"))
        assert (own.own, own.read_only, await names(node)) == (True, False, {"a", "c"})
        assert node.cache.total == sum(path.stat().st_size for path in objects(node)) == 800_000
        await node.cache.release("e-a")
        (shared,) = await stage(node, "e-d2", spec(door, bucket, "d/"))
        assert (shared.own, await names(node)) == (False, {"c", "d"})


async def test_a_file_of_another_size_than_before_is_brought_again(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"d/k": b"as it is"})
    async with node_with(tmp_path) as node:
        await stage(node, "e-1", spec(door, bucket))
        os.truncate(objects(node)[0], 3)
        await node.cache.release("e-1")
        (mount,) = await stage(node, "e-2", spec(door, bucket))
        assert tree(mount.host_path) == {"k": b"as it is"}
        assert (node.cache.total, [path.read_bytes() for path in objects(node)]) == (8, [b"as it is"])


async def test_a_cache_that_is_gone_keeps_no_task_from_its_input(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"d/k": b"as it is"})
    async with node_with(tmp_path) as node:
        shutil.rmtree(node.cache.shelf.trees)
        node.cache.shelf.trees.write_text("a file in the place of a folder")
        (mount,) = await stage(node, "e-1", spec(door, bucket))
        assert (tree(mount.host_path), mount.own) == ({"k": b"as it is"}, True)


async def test_what_a_crash_of_the_machine_may_have_taken_is_not_used(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"a/k": b"settled", "b/k": b"in memory"})
    async with node_with(tmp_path) as node:
        await stage(node, "e-1", spec(door, bucket, "a/"))
        await node.cache.settle()
        await stage(node, "e-2", spec(door, bucket, "b/"))
    async with node_with(tmp_path) as node:
        assert await names(node) == {"a", "b"}  # the process ended, the machine did not
        node.cache._boot = "another run of the machine"
        await node.cache.open()
        assert (await names(node), len(objects(node)), node.cache.total) == ({"a"}, 1, 7)


async def test_files_that_the_books_do_not_know_and_books_without_files_go_at_the_start(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"a/k": b"a", "b/k": b"b"})
    async with node_with(tmp_path) as node:
        await stage(node, "e-1", spec(door, bucket, "a/"))
        await stage(node, "e-2", spec(door, bucket, "b/"))
        first, second = objects(node)
        first.unlink()
        second.with_name("unknown").write_bytes(b"half")
    async with node_with(tmp_path) as node:
        assert (objects(node), node.cache.total, len(await names(node))) == ([second], 1, 1)
        assert await asyncio.to_thread(node.cache.shelf.list_trees) == {"e-1", "e-2"}
        await node.cache.tidy(frozenset({"e-1"}))
        assert await asyncio.to_thread(node.cache.shelf.list_trees) == {"e-2"}


async def test_a_node_tells_how_much_it_keeps_of_an_input(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"a/1": b"x" * 1000, "a/2": b"x" * 2000, "b/1": b"x" * 4000})
    async with node_with(tmp_path) as node:
        await stage(node, "e-1", spec(door, bucket, ""))
        wanted = [spec(door, bucket, key) for key in ("a/", "b/1", "", "none/")]
        asked = LocateInputsRequest(sources=tuple(wanted))
        answer = await on_request(node, Delivery("n", "", asked))
        assert answer.places == tuple(InputPresence(bytes=size) for size in (3000, 4000, 7000, 0))


async def test_the_folder_of_a_cache_that_cannot_be_used_is_named_once(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    config = Cache(path=str(tmp_path / "file"))
    async with AsyncExitStack() as stack:
        assert await open_cache(stack, config, tmp_path) is None
        assert await open_cache(stack, Cache(size="0"), tmp_path) is None
        (warning,) = caplog.messages
        assert warning.startswith(f"Compute.Cache.Path: {tmp_path}/file cannot hold the cache of inputs")
        assert "Compute.Cache.Size=0" in warning and not (tmp_path / "cache").exists()
        caplog.clear()
        cache = await open_cache(stack, Cache(size="1000Tb"), tmp_path)
        assert cache is not None and 0 < cache.budget <= shutil.disk_usage(tmp_path).free + MB
        assert caplog.messages[0].startswith("Compute.Cache.Size: 1000Tb is more than the disk of")
        caplog.clear()
        assert await open_cache(stack, Cache(), tmp_path) is None  # another node has it
        assert "another server uses this" in caplog.messages[0]
