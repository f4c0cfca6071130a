"""The cache of a node: inputs that one task brought are there for the next one.

What is in it is named by what its bytes are (server, key, version; CID), so nothing in it grows old: what is not used
goes when room is needed, first what was used the longest time ago. What a task uses stays. All bytes in it, and those
that are on their way into it, keep within a budget; where they cannot, an input goes its own way and is not cached.

Content that two executions want at the same moment is brought by one of them. The other waits, and takes over where
the first one fails or is cancelled.
"""

import asyncio
import ctypes
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bacalhau.compute.state.shelf import Shelf, Wanted
from bacalhau.lib.aio import Signal, uninterrupted
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.hashing import hash_file
from bacalhau.lib.tree import remove_tree
from bacalhau.ports.cache import CacheBooks, Kept

_A_SLICE = 2_000  # files that a thread links before others have a turn
_A_PAGE = 500  # files that are looked at together when room is needed
_BOOT = Path("/proc/sys/kernel/random/boot_id")
log = logging.getLogger(__name__)


@dataclass
class Use:
    """The use of a cache since the process began, in files and bytes. `evicted` went because room was needed."""

    hits: int = 0
    hit_bytes: int = 0
    misses: int = 0
    evicted: int = 0
    evicted_bytes: int = 0

    def note(self, wanted: Sequence[Wanted], missing: Sequence[Wanted]) -> None:
        """Count what an execution found here, and what it had to bring."""
        self.misses += len(missing)
        self.hits += len(wanted) - len(missing)
        self.hit_bytes += sum(one.size for one in wanted) - sum(one.size for one in missing)


class Listed(NamedTuple):
    """A file of the cache, and whether a task uses it."""

    kept: Kept
    pinned: bool


class InputCache:
    """`budget` is in bytes; 0 empties the cache and takes nothing in. `open` comes first."""

    def __init__(self, folder: Path, books: CacheBooks, budget: int) -> None:
        self.shelf, self._books, self.budget = Shelf(folder), books, budget
        self.total = 0
        self.use = Use()
        self._coming = 0
        self._fetched: dict[str, Signal] = {}
        self._room = asyncio.Lock()
        self._boot = _read_boot()

    async def open(self) -> None:
        """Bring files and books together after the end of an earlier process. Raises OSError and Unavailable."""
        await self._books.drop_unsettled(self._boot)
        sizes = await self._books.list_sizes()
        if lost := await asyncio.to_thread(self.shelf.sweep, sizes):
            await self._books.drop(lost)
        self.total = sum(sizes.values()) - sum(sizes[digest] for digest in lost)

    def tree(self, execution_id: str) -> Path:
        """Return the folder of what an execution mounts from the cache."""
        return self.shelf.trees / execution_id

    async def link(self, wanted: Sequence[Wanted], tree: Path) -> list[Wanted]:
        """Link what is here into a tree; return what is not. Raises OSError."""
        missing: list[Wanted] = []
        for at in range(0, len(wanted), _A_SLICE):
            linking = asyncio.to_thread(self.shelf.link, wanted[at : at + _A_SLICE], tree)
            lacking, damaged = await uninterrupted(linking)  # nothing is linked any more when the caller is cancelled
            missing += lacking
            if damaged:
                log.warning("%d files of the cache of inputs had another size than before: removed", len(damaged))
                await self._forget(damaged)
        return missing

    async def touch(self, used: Sequence[Wanted]) -> None:
        """Note that content is used now."""
        try:
            await self._books.touch([one.digest for one in used], now_ns())
        except Unavailable as e:
            log.warning("the use of cached inputs was not noted: %s", e)

    def is_coming(self, wanted: Iterable[Wanted]) -> Signal | None:
        """Find one of these that somebody is bringing; the signal fires when that has ended."""
        return next((found for one in wanted if (found := self._fetched.get(one.digest))), None)

    @asynccontextmanager
    async def bringing(self, missing: Sequence[Wanted]) -> AsyncIterator[bool]:
        """Announce that content is being brought, so that nobody else brings it, and make room for it.

        Yields False where there is no room. What others wait for must not be announced (see `is_coming`).
        """
        signal, size = Signal(), sum(one.size for one in missing)
        self._fetched |= dict.fromkeys((one.digest for one in missing), signal)
        self._coming += size
        try:
            yield await self._make_room()
        finally:
            self._coming -= size
            for one in missing:
                self._fetched.pop(one.digest, None)
            signal.fire()

    async def find_hashes(self, linked: Sequence[Wanted], tree: Path) -> dict[str, bytes]:
        """Return the SHA-256 of the bytes of what was linked into a tree, by the digests that name it in the cache.

        Files are read whose SHA-256 was never noted. Raises OSError.
        """
        try:
            known = await self._books.find_hashes([one.digest for one in linked])
            if unknown := [one for one in linked if one.digest not in known]:
                made = await asyncio.to_thread(hash_tree, unknown, tree)
                found = {one.digest: made[one.path] for one in unknown}
                known |= found
                await self._books.put_hashes(found)
        except Unavailable as e:
            log.warning("the digests of cached inputs were not read or not noted: %s", e)
            made = await asyncio.to_thread(hash_tree, linked, tree)
            known = {one.digest: made[one.path] for one in linked}
        return known

    async def adopt(self, brought: Sequence[Wanted], tree: Path, hashes: Mapping[str, bytes]) -> None:
        """Take what came into a tree; `hashes` has the SHA-256 of each file by its path.

        It is done whole, also where the caller is cancelled. Raises OSError.
        """
        await uninterrupted(self._adopt(brought, tree, hashes))

    async def _adopt(self, brought: Sequence[Wanted], tree: Path, hashes: Mapping[str, bytes]) -> None:
        now = now_ns()
        for at in range(0, len(brought), _A_SLICE):
            new = await asyncio.to_thread(self.shelf.adopt, brought[at : at + _A_SLICE], tree)
            self.total += sum(one.size for one in new)
            try:
                rows = [Kept(one.digest, one.name, one.size, now, hashes[one.path].hex()) for one in new]
                await self._books.put(rows, self._boot)
            except Unavailable as e:  # they are in use, and go with the next start of the node
                log.warning("cached inputs were not written down: %s", e)

    async def release(self, execution_id: str) -> None:
        """Remove what an execution mounted. Its content stays in the cache, and may go when room is needed."""
        if os.path.exists(tree := self.tree(execution_id)):
            await asyncio.to_thread(remove_tree, tree)

    async def tidy(self, ended: frozenset[str]) -> None:
        """Remove the trees of executions that have ended, and have all files on the disk, where a loss of power leaves
        them. Raises Unavailable.
        """
        for execution_id in ended:
            await self.release(execution_id)
        await self.settle()
        await self._make_room()

    async def settle(self) -> None:
        """Have all files on the disk. Raises Unavailable."""
        if await self._books.has_unsettled():
            await asyncio.to_thread(_flush, self.shelf.folder)
            await self._books.settle()

    async def leave_free(self, folder: Path, size: int) -> None:
        """Remove what no task uses until so many bytes are free where `folder` is, if that is the cache's disk."""
        if self.held_at(folder):
            async with self._room:
                await self._evict(lambda: self.shelf.free() < size)

    def held_at(self, folder: Path) -> int:
        """Return the bytes that jobs may get back of the disk of `folder`, if that is the cache's disk."""
        return self.total if os.stat(folder).st_dev == os.stat(self.shelf.folder).st_dev else 0

    async def _make_room(self) -> bool:
        """Remove the oldest until what is here and what is coming fit budget and disk; return False where they do not.

        What is coming may be partly there: its bytes then count twice of the disk, never of the budget.
        """
        async with self._room:
            return await self._evict(self._is_tight)

    def _is_tight(self) -> bool:
        return self.total + self._coming > self.budget or self.shelf.free() < self._coming

    async def _evict(self, is_tight: Callable[[], bool]) -> bool:
        after: Kept | None = None
        while is_tight():
            page = await self._books.list_oldest(after, _A_PAGE)
            if not page:
                return False
            after = page[-1]
            gone = await self._remove(page, lambda _: not is_tight())
            self.use.evicted += len(gone)
            self.use.evicted_bytes += sum(one.size for one in gone)
        return True

    async def prune(self, most: int | None, before: int) -> list[Kept]:
        """Remove files that no task uses: those whose last use was before a time (Unix ns), and, the oldest first, what
        makes the cache larger than `most` bytes. Return what is gone. Raises Unavailable.
        """

        def may_stay(one: Kept) -> bool:
            return one.used >= before and (most is None or self.total <= most)

        gone: list[Kept] = []
        async with self._room:
            page = await self._books.list_oldest(None, _A_PAGE)
            while page:
                gone += await self._remove(page, may_stay)
                page = [] if may_stay(page[-1]) else await self._books.list_oldest(page[-1], _A_PAGE)
        return gone

    async def _remove(self, page: list[Kept], may_stay: Callable[[Kept], bool]) -> list[Kept]:
        """Remove files that no task uses up to the first that may stay; return those that are gone.

        Files and books stay the same, also where the caller is cancelled.
        """

        def remove() -> list[Kept]:
            gone = []
            for one in page:
                if may_stay(one):
                    break
                if self.shelf.discard((one.digest,)):
                    gone.append(one)
                    self.total -= one.size
            return gone

        async def remove_and_note() -> list[Kept]:
            if gone := await asyncio.to_thread(remove):
                await self._books.drop([one.digest for one in gone])
            return gone

        return await uninterrupted(remove_and_note())

    async def _forget(self, digests: Sequence[str]) -> None:
        """Remove files from the books, and measure what is left."""
        await self._books.drop(digests)
        self.total = sum((await self._books.list_sizes()).values())

    async def list_page(self, after: Kept | None, limit: int) -> list[Listed]:
        """List what is here, first what was used the longest time ago. Raises Unavailable."""
        page = await self._books.list_oldest(after, limit)
        used = await asyncio.to_thread(self.shelf.list_used, [one.digest for one in page])
        return [Listed(one, one.digest in used) for one in page]

    async def measure(self, beginning: str) -> int:
        """Return the bytes that are here of everything whose name begins so. Raises Unavailable."""
        return await self._books.measure(beginning)


def hash_tree(files: Iterable[Wanted], tree: Path) -> dict[str, bytes]:
    """Return the SHA-256 of files of a tree by their paths. Blocks. Raises OSError."""
    return {one.path: hash_file(tree / one.path) for one in files}


def digest_of(identity: str) -> str:
    """Return the name of a file of the cache."""
    return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _read_boot() -> str:
    """Tell one run of the machine from another; each process is one where the system does not tell."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return f"process {os.getpid()} {now_ns()}"


def _flush(folder: Path) -> None:
    """Have the system write all of a folder's file system to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    except OSError as e:
        raise Unavailable(f"the cache of inputs in {folder} is not written to its disk: {e.strerror or e}") from e
    finally:
        os.close(descriptor)
