"""Brings all inputs of a task to the node, side by side."""

import asyncio
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.execution.cached import Way, bring_cached
from bacalhau.compute.execution.keeping import free_disk
from bacalhau.compute.execution.mounts import open_copy
from bacalhau.compute.execution.reading import Reading
from bacalhau.compute.remote.inventory import fetch_share
from bacalhau.lib.aio import together
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import heard_by
from bacalhau.lib.units import show_bytes
from bacalhau.models.job.job import InputSource, Job, Task
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.engine import Mount
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import InPlace, Manifest, Partition, Reusable, Storage, Volume

_NAMED = 3  # inputs of a note or an error, which say how many more there are
_MORE_DISK = "ask for more disk (Resources.Disk), or name fewer objects"


async def stage_inputs(
    node: ComputeNode, job: Job, part: Partition, folder: Path, disk: int, report: Report
) -> tuple[Mount, ...]:
    """Resolve everything, check that it fits the disk, then fetch.

    `part`: whose share of what is divided; `folder` exists and is empty; `disk` is how many bytes the inputs may take,
    which holds for what servers say and for what they send. What was read is taken down beside `folder`. Raises
    StorageFailure.
    """
    inputs = job.task.input_sources or ()
    manifests = await find_manifests(node, job, part, report)
    sources = [source_of(node, item.source) for item in inputs]
    needed = sum(m.size for m in manifests)
    ways = [_way(node, source, folder, n) for n, source in enumerate(sources)]
    await _make_room(node, folder, sum(m.size for m, way in zip(manifests, ways, strict=True) if way is None))
    if needed > disk:
        _check_room(folder, needed)
        raise StorageFailure(f"inputs need {show_bytes(needed)}, {_beyond(disk)}", hint=_MORE_DISK)
    total, reading = _Total(report, len(manifests), disk), Reading(folder.parent)
    fetches = []
    for n, (source, manifest) in enumerate(zip(inputs, manifests, strict=True)):
        into = folder / str(n)
        into.mkdir()
        wanted = manifest._replace(room=disk, record=reading.record(n, manifest))
        fetches.append(_bring(reading, n, _Fetch(node, sources[n], source, wanted, into, total.part(n)), ways[n]))
    mounts = tuple(await together(*fetches))
    await reading.close()
    return mounts


async def find_manifests(node: ComputeNode, job: Job, part: Partition, report: Report) -> list[Manifest]:
    """Find out what the inputs of a partition hold, in their order. Raises StorageFailure, also for what is not open to
    the job's namespace.
    """
    if objections := node.plugins.list_input_objections(job):
        raise StorageFailure(objections)
    inputs = job.task.input_sources or ()
    sources = [source_of(node, item.source) for item in inputs]
    listed = await fetch_share(node, job.inventory, part.index) if job.inventory and job.inventory.is_made else {}
    finding = [
        _known(Manifest(item.source, listed[n])) if n in listed else sources[n].resolve(item.source, part)
        for n, item in enumerate(inputs)
    ]
    return await _resolve_all(node, inputs, finding, report)


async def permit_again(node: ComputeNode, task: Task, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Open the inputs that are used in place once more, because the node's rules or its disk may have changed.

    `mounts` are those of an earlier process, in the order of the task's inputs, then its outputs. Raises StorageFailure
    for what is no longer allowed.
    """
    found = list(mounts)
    for n, source in enumerate(task.input_sources or ()):
        storage = source_of(node, source.source)
        if isinstance(storage, InPlace):
            found[n] = _mount(source, await storage.permit(source.source))
    return tuple(found)


def source_of(node: ComputeNode, source: SpecConfig) -> Storage:
    """Find the plug-in that brings an input. Raises StorageFailure where this node has none."""
    try:
        return node.plugins.sources[source.kind]
    except KeyError as e:
        raise StorageFailure(f"this node cannot read inputs from {source.kind}") from e


async def _known(manifest: Manifest) -> Manifest:
    """Return what the job's inventory says of an input."""
    return manifest


async def _resolve_all(
    node: ComputeNode, inputs: tuple[InputSource, ...], finding: list[Coroutine[Any, Any, Manifest]], report: Report
) -> list[Manifest]:
    """Find out what all inputs hold, side by side. The inputs that are still waited for are told meanwhile, and what
    these wait for.
    """
    open_inputs = [i.alias or f"{i.source.type} at {i.target}" for i in inputs]

    def tell(wait: str = "") -> None:
        note = f"finding out what {_shown(open_inputs)} holds" if open_inputs else ""
        report(Step("staging", note=f"{note}: {wait}" if wait else note))

    async def resolve(find: Coroutine[Any, Any, Manifest], name: str) -> Manifest:
        with heard_by(tell):
            manifest = await find
        open_inputs.remove(name)
        tell()
        return manifest

    tell()
    try:
        async with asyncio.timeout(node.read_timeout):
            manifests: list[Manifest] = await together(
                *(resolve(find, name) for find, name in zip(finding, tuple(open_inputs), strict=True))
            )
            return manifests
    except TimeoutError as e:
        raise StorageFailure(
            f"what {_shown(open_inputs)} holds was not found out within {node.read_timeout:g} s", retryable=True
        ) from e


def _shown(names: list[str]) -> str:
    """Name the first inputs of a list, and count the others: a job may have thousands."""
    others = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {others} more" if others > 0 else "")


def _way(node: ComputeNode, source: Storage, folder: Path, number: int) -> Way | None:
    """Find the way of an input by the cache; `folder` is that of the inputs of an execution."""
    if node.cache is None or not isinstance(source, Reusable):
        return None
    return Way(node.cache, source, node.cache.tree(folder.parent.name) / str(number))


class _Fetch(NamedTuple):
    """An input that is brought into the folder `into`."""

    node: ComputeNode
    storage: Storage
    source: InputSource
    manifest: Manifest
    into: Path
    report: Report


async def _bring(reading: Reading, index: int, fetch: _Fetch, way: Way | None) -> Mount:
    """Bring an input, and take down what it holds."""
    mount = await (_fetch(fetch) if way is None else _fetch_cached(fetch, way))
    is_brought = mount.own or (way is not None and mount.host_path.is_relative_to(way.tree))
    await reading.complete(index, fetch.manifest, mount.host_path if is_brought else None)
    return mount


async def _fetch_cached(fetch: _Fetch, way: Way) -> Mount:
    volume = await bring_cached(way, fetch.manifest, fetch.into, fetch.report)
    if volume is None:
        await _make_room(fetch.node, fetch.into.parent, fetch.manifest.size)
        return await _fetch(fetch)
    return await _own(fetch, volume) if volume.path.is_relative_to(fetch.into) else _mount(fetch.source, volume)


async def _fetch(fetch: _Fetch) -> Mount:
    volume = await fetch.storage.fetch(fetch.manifest, fetch.into, fetch.report)
    return await _own(fetch, volume) if volume.path.is_relative_to(fetch.into) else _mount(fetch.source, volume)


async def _own(fetch: _Fetch, volume: Volume) -> Mount:
    """Give a task a copy that is its own."""
    await asyncio.to_thread(open_copy, volume.path)
    return _mount(fetch.source, volume._replace(read_only=False))._replace(own=True)


def _mount(source: InputSource, volume: Volume) -> Mount:
    return Mount(volume.path, source.target, volume.read_only, volume.held)


def _beyond(disk: int) -> str:
    return f"more than the task's disk of {show_bytes(disk)}"


async def _make_room(node: ComputeNode, folder: Path, size: int) -> None:
    """Make room for inputs that are brought into the folder of an execution. Raises StorageFailure."""
    if size:
        await free_disk(node, folder, size)
    _check_room(folder, size)


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise StorageFailure(
            f"no space left on the node: inputs need {show_bytes(size)}, {show_bytes(free)} are free in"
            f" {folder.parent.parent}",
            hint="free space, or name fewer objects",
        )


class _Total:
    """Adds up what several inputs report, and ends the task when that is more than its `disk`."""

    def __init__(self, report: Report, parts: int, disk: int) -> None:
        self._report = report
        self._disk = disk
        self._steps = [Step("staging") for _ in range(parts)]

    def part(self, index: int) -> Report:
        def receive(step: Step) -> None:
            self._steps[index] = step
            sums = Step(
                "staging",
                *(
                    sum(getattr(s, name) for s in self._steps)
                    for name in ("done", "total", "bytes_done", "bytes_total")
                ),
            )
            if sums.bytes_done > self._disk:
                raise StorageFailure(
                    f"inputs brought {show_bytes(sums.bytes_done)}, {_beyond(self._disk)}", hint=_MORE_DISK
                )
            self._report(sums._replace(note=step.note))

        return receive
