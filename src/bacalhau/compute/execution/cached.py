"""Inputs by way of the node's cache: what is there is linked, only the rest is brought.

What a task gets so, it may only read: the same bytes are used by other tasks. A task that must write into an input asks
for a copy of its own. Where the cache has no room, or its disk fails, an input is brought as if there were no cache.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bacalhau.compute.state.cache import InputCache, digest_of, hash_tree
from bacalhau.compute.state.shelf import Wanted, copy_tree
from bacalhau.lib.errors import StorageFailure, Unavailable
from bacalhau.lib.tree import remove_tree
from bacalhau.ports.progress import Report, Step, ignore
from bacalhau.ports.storage import Content, Entry, Listable, Manifest, OtherContent, Record, Reusable, Volume

_WAIT_SECONDS = 60.0
_PART_BYTES, _PART_OBJECTS = 64_000_000, 500  # of what is brought ahead, before others have a turn
log = logging.getLogger(__name__)


class Way(NamedTuple):
    """The cache and the source of an input; `tree` is the input's own folder in the cache."""

    cache: InputCache
    source: Reusable
    tree: Path


async def bring_cached(way: Way, manifest: Manifest, into: Path, report: Report) -> Volume | None:
    """Bring an input by way of the cache; None where it cannot go this way, and nothing of it is left.

    The volume is below the tree, or a copy below `into` where the task asks for one. The manifest's `record` is told of
    all files. Raises StorageFailure.
    """
    if not way.cache.budget:
        return None
    wanted = await asyncio.to_thread(_name, manifest, await way.source.name_contents(manifest))
    if not wanted:
        return None
    try:
        volume = await _bring(way, manifest, wanted, report)
        if volume is not None and way.source.wants_copy(manifest.source):
            volume = await _copy(way, volume, into)
    except (OSError, Unavailable) as e:
        log.warning("an input is brought without the cache in %s: %s", way.cache.shelf.folder, e)
        volume = None
    if volume is None:
        await asyncio.to_thread(remove_tree, way.tree)
    return volume


async def bring_ahead(way: Way, manifest: Manifest, room: int, give_way: Callable[[], Awaitable[None]]) -> int:
    """Bring an input into the cache before anybody needs it, a part after the other where its objects can be brought
    alone, and no more than `room` bytes; return how many came. `give_way` is called before each part.

    Raises StorageFailure, OSError and Unavailable.
    """
    wanted = await asyncio.to_thread(_name, manifest, await way.source.name_contents(manifest))
    here = way.tree / "here"
    await asyncio.to_thread(way.cache.shelf.make_tree, here)
    lacking = {one.path: one for one in await way.cache.link(wanted, here)}
    entries = [entry for entry in manifest.entries if entry.path in lacking]
    is_divisible, came = isinstance(way.source, Listable), 0
    for part in _divide(entries) if is_divisible else [manifest.entries] * bool(entries):
        named = [lacking[entry.path] for entry in part] if is_divisible else wanted
        size = sum(one.size for one in named if one.path in lacking)
        if size > room - came:
            break
        await give_way()
        coming = way._replace(tree=way.tree / "coming")
        if await _bring(coming, manifest._replace(entries=tuple(part)), named, ignore) is None:
            break
        came += size
    return came


def _divide(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Divide objects into parts that are brought one after the other."""
    part, size = list[Entry](), 0
    for entry in entries:
        if part and (size + entry.size > _PART_BYTES or len(part) == _PART_OBJECTS):
            yield part
            part, size = [], 0
        part.append(entry)
        size += entry.size
    if part:
        yield part


def _name(manifest: Manifest, contents: Sequence[Content]) -> list[Wanted]:
    """Name all bytes of a manifest for the cache; nothing where some have no identity, or no size."""
    if any(entry.size < 0 or not content.identity for entry, content in zip(manifest.entries, contents, strict=True)):
        return []
    return [
        Wanted(digest_of(content.identity), _plain(content.name), entry.size, entry.path)
        for entry, content in zip(manifest.entries, contents, strict=True)
    ]


def _plain(name: str) -> str:
    """Make a text that a database takes out of one that may hold bytes that are no characters."""
    return name.encode("utf-8", "replace").decode()


async def _bring(way: Way, manifest: Manifest, wanted: Sequence[Wanted], report: Report) -> Volume | None:
    cache, tree = way.cache, way.tree
    while True:
        await asyncio.to_thread(cache.shelf.make_tree, tree)
        missing = await cache.link(wanted, tree)
        if other := cache.is_coming(missing):
            report(Step("staging", note="waiting for another execution that brings the same input"))
            await other.wait(_WAIT_SECONDS)
            continue
        async with cache.bringing(missing) as has_room:
            if not has_room:
                return None
            missing = await cache.link(missing, tree)  # somebody may have ended just now
            told = _Told(manifest.record)
            volume = await _fetch_rest(way, manifest._replace(record=told.note), missing, report)
            if volume is not None:
                await asyncio.to_thread(told.complete, missing, tree)
                await cache.adopt(missing, tree, told.hashes)
        cache.use.note(wanted, missing)
        await cache.touch(wanted)
        if volume is not None:
            await _tell_linked(way, manifest, wanted, told)
        return volume


class _Told:
    """The SHA-256 of the files that a source brings, by their paths, on their way to the `record` of a manifest."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.hashes: dict[str, bytes] = {}

    def note(self, path: str, size: int, digest: bytes, from_cache: bool = False) -> None:
        self.hashes[path] = digest
        self._record(path, size, digest, from_cache)

    def complete(self, brought: Iterable[Wanted], tree: Path) -> None:
        """Hash the files that the source did not tell of. Blocks. Raises OSError."""
        untold = {one.path: one for one in brought if one.path not in self.hashes}
        for path, digest in hash_tree(untold.values(), tree).items():
            self.note(path, untold[path].size, digest)


async def _tell_linked(way: Way, manifest: Manifest, wanted: Sequence[Wanted], told: _Told) -> None:
    """Tell the record of what was in the cache."""
    linked = [one for one in wanted if one.path not in told.hashes]
    hashes = await way.cache.find_hashes(linked, way.tree)

    def tell() -> None:
        for one in linked:
            manifest.record(one.path, one.size, hashes[one.digest], from_cache=True)

    await asyncio.to_thread(tell)


async def _fetch_rest(way: Way, manifest: Manifest, missing: Sequence[Wanted], report: Report) -> Volume | None:
    """Bring what is missing; None where the disk of the cache is full, which may be another than the executions', or
    where what came is not what was named.
    """
    lacking = {one.path for one in missing}
    entries = tuple(entry for entry in manifest.entries if entry.path in lacking)
    try:
        return await way.source.fetch_rest(manifest, entries, way.tree, report)
    except OtherContent:
        return None
    except StorageFailure:
        if way.cache.shelf.free() < sum(one.size for one in missing):
            return None
        raise


async def _copy(way: Way, volume: Volume, into: Path) -> Volume:
    """Copy an input into the execution's own folder, and free what is in the cache."""
    await asyncio.to_thread(copy_tree, way.tree, into)
    await asyncio.to_thread(remove_tree, way.tree)
    return volume._replace(path=into / volume.path.relative_to(way.tree), read_only=False)
