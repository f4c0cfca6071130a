"""Inputs that a node brings before their executions begin: once, within limits, and in nobody's way."""

import asyncio
import os

import pytest

from bacalhau.compute.messages.questions import on_request
from bacalhau.config.schema import Config
from bacalhau.lib.aio import Signal
from bacalhau.models.job.job import InputSource, Job, Task
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import PrefetchPiece, PrefetchRequest
from bacalhau.ports.bus import Delivery
from tests.contract.test_input_cache import Counting, spec
from tests.support.caching import MB, names, node_with, objects, stage, tree

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture
async def door(s3):
    async with Counting(s3.url).listen() as made:
        yield made


class Gate:
    """Holds the reading of one object up until it is opened."""

    def __init__(self, door, ending):
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        door.choose = lambda request: self.hold if request.path.endswith(ending) and not self.opened.is_set() else None

    async def hold(self, proxy, request):
        self.reached.set()
        await self.opened.wait()
        return await proxy.forward(request)


def piece(*specs, job_id="next"):
    inputs = tuple(InputSource(source=one, target=f"/in/{n}") for n, one in enumerate(specs))
    return PrefetchPiece(job=Job(id=job_id, namespace="default", version=1, tasks=(Task(input_sources=inputs),)))


async def tell(node, *pieces):
    await on_request(node, Delivery("n", "", PrefetchRequest(pieces=pieces)))


async def ended(node):
    """Wait for all prefetches that the node was told of last."""
    await asyncio.gather(*node.prefetches.tasks.values())


async def is_waited_for(node):
    """Wait until somebody waits for what is on its way."""
    while not any(signal._waiters for signal in node.cache._fetched.values()):
        await Signal().wait(0.001)


async def trees(node):
    return await asyncio.to_thread(node.cache.shelf.list_trees)


async def test_an_execution_finds_what_was_prefetched_and_moves_nothing(s3, bucket, door, tmp_path):
    bodies = {f"{name}/{n}": os.urandom(20_000) for name in "ab" for n in range(10)}
    s3.fill(bucket, bodies)
    async with node_with(tmp_path) as node:
        await tell(node, piece(spec(door, bucket, "a/"), spec(door, bucket, "b/", Writable=True)))
        await ended(node)
        assert sum(door.read.values()) == 20 * 20_000
        assert (await trees(node), node.cache.total) == (frozenset(), 20 * 20_000)
        door.read.clear()
        mounts = await stage(node, "e-1", spec(door, bucket, "a/"), spec(door, bucket, "b/", Writable=True))
        assert door.read == {}
        assert [tree(mount.host_path) for mount in mounts] == [
            {key.removeprefix(name): body for key, body in bodies.items() if key.startswith(name)}
            for name in ("a/", "b/")
        ]
        await tell(node, piece(spec(door, bucket, "a/"), spec(door, bucket, "b/", Writable=True)))
        await ended(node)
        assert door.read == {}


async def test_what_is_not_told_any_more_ends_at_once_and_leaves_nothing(s3, bucket, door, tmp_path):
    s3.fill(bucket, {f"a/{n}": b"x" * 1000 for n in range(3)})
    async with node_with(tmp_path) as node:
        gate = Gate(door, "/a/1")
        await tell(node, piece(spec(door, bucket, "a/")))
        await gate.reached.wait()
        (task,) = node.prefetches.tasks.values()
        await tell(node)
        await asyncio.wait({task})
        assert task.cancelled()
        assert (await trees(node), objects(node), node.cache.total) == (frozenset(), [], 0)
        gate.opened.set()
        await stage(node, "e-1", spec(door, bucket, "a/"))
        assert node.cache.total == 3000


@pytest.mark.parametrize("is_given_up", [False, True])
async def test_an_execution_waits_for_what_is_just_coming_and_takes_over_where_that_ends(
    s3, bucket, door, tmp_path, is_given_up
):
    s3.fill(bucket, {f"a/{n}": b"x" * 1000 for n in range(3)})
    async with node_with(tmp_path) as node:
        gate = Gate(door, "/a/1")
        await tell(node, piece(spec(door, bucket, "a/")))
        await gate.reached.wait()
        staging = asyncio.ensure_future(stage(node, "e-1", spec(door, bucket, "a/")))
        await is_waited_for(node)
        if is_given_up:
            await tell(node)
        gate.opened.set()
        (mount,) = await staging
        assert len(tree(mount.host_path)) == 3
        assert is_given_up or set(door.read.values()) == {1000}


async def test_prefetches_begin_when_no_execution_stages_its_inputs_and_one_at_a_time(s3, bucket, door, tmp_path):
    s3.fill(bucket, {"a/k": b"a", "b/k": b"b"})
    async with node_with(tmp_path) as node:
        gate = Gate(door, "/a/k")
        with node.prefetches.staging():
            await tell(node, piece(spec(door, bucket, "a/")), piece(spec(door, bucket, "b/"), job_id="later"))
            await stage(node, "e-1", spec(door, bucket, "b/"))
            assert (gate.reached.is_set(), door.read) == (False, {f"/{bucket}/b/k": 1})
        await gate.reached.wait()
        first, second = node.prefetches.tasks.values()
        assert node.prefetches.turn.locked() and not first.done() and not second.done()
        gate.opened.set()
        await ended(node)
        assert await names(node) == {"a", "b"}


async def test_a_piece_takes_its_share_of_the_cache_and_nothing_from_what_runs(s3, bucket, door, tmp_path):
    s3.fill(bucket, {f"{name}/{n}": os.urandom(50_000) for name in "ab" for n in range(18)})
    async with node_with(tmp_path, budget=MB) as node:
        node.cache.budget = 8 * 100_000
        await tell(node, piece(spec(door, bucket, "a/0"), spec(door, bucket, "a/1"), spec(door, bucket, "a/2")))
        await ended(node)
        assert node.cache.total == 100_000
        await tell(node, piece(spec(door, bucket, "b/"), job_id="large"))
        await ended(node)
        assert node.cache.total == 100_000
        (runs,) = await stage(node, "e-1", spec(door, bucket, "b/1*"))
        assert not runs.own
        before = tree(runs.host_path)
        await tell(node, *(piece(spec(door, bucket, f"a/{n}"), job_id=f"j-{n}") for n in range(3, 9)))
        await ended(node)
        assert node.cache.total <= node.cache.budget
        assert (tree(runs.host_path), len(before)) == (before, 9)


async def test_a_prefetch_that_fails_says_nothing_and_is_not_tried_again(s3, bucket, door, tmp_path, caplog):
    s3.fill(bucket, {"a/k": b"a", "b/k": b"b"})
    async with node_with(tmp_path) as node:
        bad = piece(spec(door, bucket, "none/"))
        other = piece(SpecConfig(type="unknown"), job_id="other")
        await tell(node, bad, other, piece(spec(door, bucket, "b/"), job_id="good"))
        await ended(node)
        assert await names(node) == {"b"}
        assert not [record for record in caplog.records if record.levelname not in ("DEBUG", "INFO")]
        tasks = dict(node.prefetches.tasks)
        await tell(node, bad, other, piece(spec(door, bucket, "b/"), job_id="good"))
        assert node.prefetches.tasks == tasks


@pytest.mark.parametrize("way", ["turned off", "without a cache"])
async def test_nothing_is_prefetched_where_nobody_wants_it(s3, bucket, door, tmp_path, way):
    s3.fill(bucket, {"a/k": b"a"})
    async with node_with(tmp_path, budget=0 if way == "without a cache" else MB) as node:
        node.prefetches.is_on = way != "turned off"
        await tell(node, piece(spec(door, bucket, "a/")))
        assert (node.prefetches.tasks, door.read) == ({}, {})
    assert Config().compute.cache.prefetch


class Broken:
    """A source of another package that raises what no source may."""

    async def resolve(self, source, part):
        raise ZeroDivisionError

    async def fetch(self, manifest, into, report):
        raise ZeroDivisionError


async def test_a_source_that_raises_anything_costs_a_prefetch_and_not_the_node(tmp_path, caplog):
    async with node_with(tmp_path, sources={"broken": Broken()}) as node:
        await tell(node, piece(SpecConfig(type="broken")))
        await ended(node)
        assert (await trees(node), caplog.messages) == (frozenset(), ["prefetching inputs of job next"])
