"""A node with a cache of inputs, as far as staging needs it."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

from bacalhau.compute.core import ComputeNode, Plugins
from bacalhau.compute.execution.inputs import stage_inputs
from bacalhau.compute.state.cache import InputCache
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.models.job.job import InputSource, Job, Task
from bacalhau.models.job.resources import Resources
from bacalhau.plugins.s3.source import S3Source
from bacalhau.ports.progress import ignore
from bacalhau.ports.storage import Partition
from bacalhau.store.cache import SqliteCacheBooks

MB = 1_000_000


@asynccontextmanager
async def node_with(folder, *, budget=100 * MB, path=None, sources=None):
    """A node with a cache; `path` of the cache."""
    cached = path or folder / "cache"
    own = sources or {"s3": S3Source()}
    async with crew() as people, SqliteCacheBooks(cached / "cache.db") as books:
        cache = InputCache(cached, books, budget)
        cache.shelf.prepare()
        await cache.open()
        plugins = Plugins({}, own, {})
        yield ComputeNode("n", folder, None, None, plugins, Capacity(Resources()), people, cache=cache)
    if not sources:
        await own["s3"].close()


def job_of(*specs, target="/in"):
    return Job(id="j", tasks=(Task(input_sources=tuple(InputSource(source=s, target=target) for s in specs)),))


async def stage(node, name, *specs, report=ignore):
    """The mounts of an execution of this name."""
    folder = node.execution_folder(name) / "inputs"
    folder.mkdir(parents=True)
    return await stage_inputs(node, job_of(*specs), Partition(), folder, 1_000 * MB, report)


def tree(folder):
    return {
        str(Path(root, name).relative_to(folder)): Path(root, name).read_bytes()
        for root, _, names in os.walk(folder)
        for name in names
    }


def objects(node):
    return [path for path in node.cache.shelf.objects.rglob("*") if path.is_file()]


async def names(node):
    return {one.kept.name.split("/")[-2] for one in await node.cache.list_page(None, 100)}
