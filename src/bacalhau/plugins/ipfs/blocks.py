"""The content store: blocks in files named by CID, which outlive any process.

What the blocks mean is left to `dag`; what may be forgotten is left to whoever owns the folder.
"""

import asyncio
import ctypes
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar
from uuid import uuid4

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, NotFound, StorageFailure
from bacalhau.lib.units import show_bytes
from bacalhau.plugins.ipfs.reachable import reachable
from bacalhau.plugins.ipfs.unixfs.cid import LARGEST_BLOCK, RAW, Cid, cid_of, parse_cid
from bacalhau.ports.content import Freed

_WRITERS = 6
# Up to here syncing each file and folder is quicker than syncing the disk, which may wait for other programs' data.
_FEW = 24
_YOUNG_NS = 3600 * 1_000_000_000  # a block of the last hour may belong to a result that is being published
_LOOK_SECONDS = 10.0  # between two looks at a store that is full of young blocks
_SLACK = 0.1  # of the limit: room that is made at once, so that not every block has to look for some

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Placed = tuple[str, bytes]


class _Held(NamedTuple):
    """A block in its file. `used` is when it was last put or asked after, in Unix ns."""

    used: int
    size: int
    path: Path


class _Group:
    """Blocks that will be written and synced together."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.done = False


class BlockStore:
    """A `ContentStore` in `folder`, which belongs to one process. Opening it removes what a crash left half written.

    `put` is durable when it returns: files are synced before they get their names, folders after. Callers that
    come while a write is under way share the next one, so that many small puts cost few syncs.

    `most` is how many bytes it holds, 0 for no limit. Where a new block would be too much, those go that were put or
    asked after the longest time ago; none of the last hour.
    """

    def __init__(self, folder: Path, most: int = 0) -> None:
        self._folder = folder
        self._most = most
        self._bytes: int | None = None
        self._look_again = 0.0
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            left.unlink()
        self._turn = asyncio.Lock()
        self._next = _Group()

    async def missing(self, cids: Iterable[str]) -> list[str]:
        return await self._off_loop(self._missing, list(cids))

    async def put(self, blocks: dict[str, bytes]) -> None:
        """BadRequest, and nothing kept, when a block does not hash to its CID; StorageFailure when the disk refuses, or
        the store is full.
        """
        placed = await self._off_loop(self._checked, blocks)
        group = self._next
        group.blocks.update(placed)
        async with self._turn:
            if group.done:
                return
            if self._next is group:
                self._next = _Group()
            await self._make_room(sum(map(len, group.blocks.values())))
            await self._keep(list(group.blocks.items()))
            group.done = True

    async def get(self, cid: str) -> bytes:
        """NotFound when it is not held; StorageFailure when the disk damaged it, which makes it missing
        from then on.
        """
        return (await self.get_many([cid]))[0]

    async def get_many(self, cids: Sequence[str]) -> list[bytes]:
        """`get` for several blocks with one trip to a thread."""
        return await self._off_loop(self._read, cids)

    async def keep_raw(self, blocks: Sequence[bytes]) -> list[str]:
        """Keep blocks of plain bytes; return their CIDs in order. StorageFailure when the disk refuses."""
        named = await self._off_loop(_named, blocks)
        await self.put(dict(named))
        return [cid for cid, _ in named]

    async def remove_raw(self, blocks: Sequence[bytes]) -> None:
        """Remove blocks of plain bytes; those that are not held are fine."""
        await self.remove([cid for cid, _ in await self._off_loop(_named, blocks)])

    async def remove(self, cids: Sequence[str]) -> None:
        """Remove blocks; those that are not held are fine."""
        for cid in cids:
            await self._off_loop(Path(self._path(parse_cid(cid))).unlink, missing_ok=True)

    async def forget(self, before: int, kept: Sequence[str] = ()) -> int:
        """A folder at a time. A block that is asked after at that very moment stays."""
        count, spared = 0, await self._off_loop(self._paths_below, kept)
        for folder in await self._off_loop(self._folders):
            count += await self._off_loop(self._forget_in, folder, before, spared)
        self._bytes = None if count else self._bytes
        return count

    async def drop(self, roots: Sequence[str], kept: Sequence[str], before: int) -> Freed:
        freed = await self._off_loop(self._drop, roots, kept, before)
        self._bytes = None
        return freed

    async def renew(self, roots: Sequence[str]) -> None:
        await self._off_loop(self._renew, roots)

    def _renew(self, roots: Sequence[str]) -> None:
        for cid in reachable(map(parse_cid, roots), self._size, self._read_one).values():
            _touch(self._path(cid))

    def _drop(self, roots: Sequence[str], kept: Sequence[str], before: int) -> Freed:
        mine = reachable(map(parse_cid, roots), self._size, self._read_one)
        others = reachable(map(parse_cid, kept), self._size, self._read_one) if mine else {}
        gone = [size for key, cid in mine.items() if key not in others and (size := self._remove(cid, before))]
        return Freed(len(gone), sum(gone))

    def _remove(self, cid: Cid, before: int) -> int:
        """Remove a block that nobody asked after since; return its size in bytes, 0 when it stays."""
        path = self._path(cid)
        size = self._size(cid) or 0
        return size if _remove_old(Path(path), self._incoming / uuid4().hex, before) else 0

    def _size(self, cid: Cid) -> int | None:
        try:
            return os.stat(self._path(cid)).st_size
        except FileNotFoundError:
            return None

    def _folders(self) -> list[Path]:
        return [entry for entry in self._folder.iterdir() if entry != self._incoming]

    def _paths_below(self, roots: Sequence[str]) -> frozenset[str]:
        """Name the files of all blocks below these roots."""
        below = reachable(map(parse_cid, roots), self._size, self._read_one)
        return frozenset(map(self._path, below.values()))

    def _forget_in(self, folder: Path, before: int, spared: frozenset[str]) -> int:
        paths = (path for path in folder.iterdir() if str(path) not in spared)
        return sum(_remove_old(path, self._incoming / uuid4().hex, before) for path in paths)

    async def _make_room(self, size: int) -> None:
        """Remove old blocks where `size` bytes more are too much. StorageFailure when that is not enough."""
        if not self._most:
            return
        if self._bytes is None or (self._bytes + size > self._most and time.monotonic() > self._look_again):
            self._bytes = await self._off_loop(self._trim, self._most - size)
        if self._bytes + size > self._most:
            self._look_again = time.monotonic() + _LOOK_SECONDS
            raise StorageFailure(
                f"the content store is full: it keeps at most {show_bytes(self._most)}, and what it holds is of the"
                " last hour",
                hint="Raise Orchestrator.Retention.ContentMaxTotal, or delete jobs with `bacalhau job delete`.",
                retryable=True,
            )
        self._bytes += size

    def _trim(self, most: int) -> int:
        """Remove the blocks of the longest time ago until no more than `most` bytes are held; return how many are."""
        held = [_Held(found.st_mtime_ns, found.st_size, path) for path, found in self._walk()]
        total, count, before = sum(block.size for block in held), 0, now_ns() - _YOUNG_NS
        goal = most if total <= most else most - self._most * _SLACK
        for block in sorted(held):
            if total <= goal or block.used >= before:
                break
            if _remove_old(block.path, self._incoming / uuid4().hex, before):
                total, count = total - block.size, count + 1
        if count:
            text = "the content store holds more than %s: its %d oldest blocks were removed"
            log.warning(text, show_bytes(self._most), count)
        return total

    def _walk(self) -> Iterable[tuple[Path, os.stat_result]]:
        for folder in self._folders():
            with os.scandir(folder) as entries:
                yield from ((Path(entry.path), entry.stat()) for entry in entries)

    def _missing(self, cids: list[str]) -> list[str]:
        return [cid for cid in cids if not _touch(self._path(parse_cid(cid)))]

    def _checked(self, blocks: dict[str, bytes]) -> dict[str, bytes]:
        placed = {}
        for text, block in blocks.items():
            cid = parse_cid(text)
            if len(block) > LARGEST_BLOCK:
                raise BadRequest(f"block {text} has {len(block)} bytes, more than {LARGEST_BLOCK}")
            if not cid.matches(block):
                raise BadRequest(f"block {text} does not hash to its CID")
            if not os.path.exists(path := self._path(cid)):
                placed[path] = block
        return placed

    async def _keep(self, blocks: list[Placed]) -> None:
        few = len(blocks) <= _FEW
        shares = [blocks[i::_WRITERS] for i in range(min(_WRITERS, len(blocks)))]
        staged = await gather_bounded(_WRITERS, [partial(self._off_loop, self._stage, share, few) for share in shares])
        if not few:
            await self._off_loop(_sync_disk, self._folder)
        folders = await self._off_loop(self._name, [pair for share in staged for pair in share])
        if few:
            shared = [folders[i::_WRITERS] for i in range(min(_WRITERS, len(folders)))]
            await gather_bounded(_WRITERS, [partial(self._off_loop, _sync_folders, share) for share in shared])
        else:
            await self._off_loop(_sync_disk, self._folder)

    def _stage(self, blocks: list[Placed], sync: bool) -> list[tuple[str, str]]:
        staged = []
        for path, block in blocks:
            unnamed = f"{self._incoming}/{uuid4().hex}"
            descriptor = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(block)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            staged.append((unnamed, path))
        return staged

    def _name(self, staged: list[tuple[str, str]]) -> list[str]:
        """Give the files their names; returns the folders that changed."""
        changed = set[str]()
        for unnamed, path in staged:
            parent = os.path.dirname(path)
            if parent not in changed:
                if not os.path.isdir(parent):
                    os.mkdir(parent)
                    changed.add(str(self._folder))
                changed.add(parent)
            os.replace(unnamed, path)
        return list(changed)

    def _read(self, cids: Sequence[str]) -> list[bytes]:
        return [self._read_one(parse_cid(text)) for text in cids]

    def _read_one(self, cid: Cid) -> bytes:
        path = self._path(cid)
        try:
            with open(path, "rb", buffering=0) as file:
                block = file.readall()
        except FileNotFoundError as e:
            raise NotFound(f"content {cid} is not held here") from e
        if not cid.matches(block):
            os.rename(path, path + ".damaged")
            raise StorageFailure(
                f"block {cid} was damaged on disk",
                hint="Publish the content again: blocks that are held are not sent twice.",
            )
        return block

    def _path(self, cid: Cid) -> str:
        key = cid.key
        return f"{self._folder}/{key[-2:]}/{key}"

    async def _off_loop(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except OSError as e:
            raise StorageFailure(
                f"content store {self._folder}: {e.strerror or e}",
                hint="Look at the disk of the orchestrator.",
                retryable=True,
            ) from e


def _named(blocks: Sequence[bytes]) -> list[tuple[str, bytes]]:
    return [(str(cid_of(block, RAW, 1)), block) for block in blocks]


def _remove_old(path: Path, aside: Path, before: int) -> bool:
    """Remove a block that was last put or asked after before `before` (Unix ns); False when it stays, or is none.

    It is moved to `aside` first, so that one that is asked after at that very moment can be put back.
    """
    try:
        if path.stat().st_mtime_ns >= before:
            return False
        os.replace(path, aside)
    except FileNotFoundError:
        return False
    if aside.stat().st_mtime_ns < before:
        aside.unlink()
        return True
    os.replace(aside, path)
    return False


def _touch(path: str) -> bool:
    """The block is wanted now; False when there is none."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _sync_disk(folder: Path) -> None:
    """Make everything durable that was written to the file system of `folder`; to all of them where syncfs is not
    known.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if sys.platform == "linux" else None
    if syncfs is None:
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(handle)


def _sync_folders(folders: list[str]) -> None:
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
