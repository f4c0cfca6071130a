"""Writes a UnixFS tree to disk from the verified blocks of a Reader.

Files grow under `.<CID>.part` and get their name when whole; what an earlier attempt left is checked and used.
"""

import asyncio
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.archive import STANDARD, Limits
from bacalhau.border.folding import DistinctNames
from bacalhau.border.names import name_fault
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.hashing import Hash, hash_file
from bacalhau.lib.units import show_bytes
from bacalhau.plugins.ipfs.unixfs.build import V0, V1, leaf_cid, root_cid
from bacalhau.plugins.ipfs.unixfs.cid import LARGEST_BLOCK, RAW, Cid
from bacalhau.plugins.ipfs.unixfs.read import WINDOW, Anchor, Part, Piece, Reader, Verified, View, view, walk_file
from bacalhau.ports.storage import Record, record_nothing

Tell = Callable[[int, int, int], None]
"""Called with the files and their bytes that are newly in place, and the bytes of the whole tree as far as known: what
links tell of it, until the end.
"""

_FLUSH_BYTES = 1 << 20
_FLUSH_FILES = 200
_SMALL_BYTES = 300_000
_REMEMBERED = 20_000
_MOST_WAITING = 1_000_000  # entries of directories that were met and are not written yet; some 500 MB
NOTHING: Mapping[Path, int] = {}
_log = logging.getLogger(__name__)


class Watch(NamedTuple):
    """The listeners of whoever writes a tree: of its progress, and of the files by their SHA-256."""

    tell: Tell
    record: Record = record_nothing


class _Content(NamedTuple):
    """The size of a file in bytes and its SHA-256, which is b"" where nobody wants to know it."""

    size: int
    digest: bytes


class _Item(NamedTuple):
    """Something to write at `path`; `fresh` when nothing is there; a `shard` adds entries to the directory `path`."""

    cid: Cid
    path: Path
    tsize: int
    fresh: bool
    shard: bool = False

    @property
    def is_small(self) -> bool:
        """Not worth a stream of its own. The root's size is not known."""
        return 0 < self.tsize <= _SMALL_BYTES


async def write_tree(
    reader: Reader, cid: Cid, target: Path, inside: Path, tell: Tell, limits: Limits = STANDARD
) -> Path:
    """Write what `cid` is at `target`; a file or symlink for which `target` is a directory goes into it, named by its
    CID.

    Returns where it is. Symlinks that lead out of `inside` are left out. StorageFailure for malformed blocks,
    names that would leave the folder, what is beyond `limits` when all of it is counted, also what repeats, and the
    disk's own errors.
    """
    with _telling_disk(target):
        await asyncio.to_thread(partial(target.parent.mkdir, parents=True, exist_ok=True))
        return await _Writer(reader, inside, Watch(tell), limits).write(cid, target)


async def complete_tree(
    reader: Reader, cid: Cid, into: Path, held: Mapping[Path, int], watch: Watch, limits: Limits = STANDARD
) -> Path:
    """Write what is missing of a tree in the folder `into`, as `write_tree` does. The files in `held`, with their sizes
    in bytes, are what the tree has there; they are neither read nor changed, nor
    are they recorded.
    """
    with _telling_disk(into):
        return await _Writer(reader, into, watch, limits, held).write(cid, into)


@contextmanager
def _telling_disk(target: Path) -> Iterator[None]:
    """Turn errors of the disk into StorageFailure."""
    try:
        yield
    except OSError as e:
        raise StorageFailure(
            f"cannot write {e.filename or target}: {e.strerror or e}",
            hint="Look at the space and permissions of the folder.",
        ) from e


class _Writer:
    """Places the tree depth first, so that a reader can stream the blocks in the order in which they are asked for."""

    def __init__(
        self, reader: Reader, inside: Path, watch: Watch, limits: Limits, held: Mapping[Path, int] = NOTHING
    ) -> None:
        self._limits, self._held = limits, held
        self._entries = 1
        self._bytes = 0
        self._reader = reader
        self._inside = inside
        self._report, self._record = watch
        self._is_recorded = watch.record is not record_nothing
        self._total = 0
        self._root = inside
        self._todo: list[_Item] = []
        self._written: dict[Cid, tuple[Path, _Content]] = {}
        self._symlinks: list[tuple[Path, str]] = []
        self._small: list[tuple[Path, Cid, bytes]] = []
        self._small_bytes = 0

    async def write(self, cid: Cid, target: Path) -> Path:
        self._root = target
        fresh = await asyncio.to_thread(_is_vacant, target)
        self._names = await asyncio.to_thread(DistinctNames, target if target.is_dir() else target.parent)
        path = await self._place(_Item(cid, target, 0, fresh))
        while self._todo:
            await self._place(self._todo.pop())
        await self._flush_small()
        await asyncio.to_thread(_link, self._symlinks, self._inside)
        self._total = 0
        self._tell(0, 0)
        return path

    def _tell(self, files: int, size: int) -> None:
        self._bytes += size
        self._require_room(0)
        self._report(files, size, max(self._total, self._bytes))

    def _require_room(self, size: int) -> None:
        """Return when so many more bytes are within the limit. Raises StorageFailure."""
        if self._bytes + size > self._limits.size:
            hint = "it may repeat a few blocks without end: name a part of it, CID/sub/path"
            raise StorageFailure(f"the content has more than {show_bytes(self._limits.size)}", hint=hint)

    async def _place(self, item: _Item) -> Path:
        if (size := self._held.get(item.path)) is not None:
            self._tell(1, size)
            return item.path
        if not item.fresh and not item.shard and (held := await asyncio.to_thread(_find_whole, item.path, item.cid)):
            self._tell_of(item.path, held)
            return item.path
        if (twin := self._written.get(item.cid)) is not None:
            self._require_room(twin[1].size)
            await asyncio.to_thread(_copy, twin[0], item.path, item.cid)
            self._tell_of(item.path, twin[1])
            return item.path
        upcoming = [
            later.cid
            for later in self._todo[:-WINDOW:-1]
            if later.fresh and later.is_small and later.cid not in self._written
        ]
        block = await self._reader.get(
            item.cid, upcoming, Anchor(item.cid) if item.fresh and not item.is_small else None
        )
        seen = view(item.cid, block)
        self._total = self._total or len(block) + sum(link.tsize for link in seen.links)
        if item.cid.codec == RAW and item.tsize not in (0, len(block)):
            raise StorageFailure(f"a link to {item.cid} tells {item.tsize} bytes, and it has {len(block)}")
        if seen.kind in ("directory", "shard"):
            return await self._place_directory(item, seen)
        if item.shard:
            raise StorageFailure(f"block {item.cid} is not the part of a directory that its parent describes")
        return await self._place_leaf(item, seen, block)

    async def _place_directory(self, item: _Item, seen: View) -> Path:
        self._entries += len(seen.links)
        if self._entries > self._limits.members or len(self._todo) + len(seen.links) > _MOST_WAITING:
            raise too_many_entries(item.cid, self._limits.members)
        there = set[str]() if item.fresh and item.shard else await asyncio.to_thread(_make_directory, item.path)
        children = []
        for link in seen.links:
            name = link.name if seen.kind == "directory" else link.name[2:]
            inner = seen.kind == "shard" and not name
            path = item.path if inner else item.path / safe_name(name, item.cid)
            fresh = not there if inner else path.name not in there and part_name(link.cid) not in there
            self._names.add(str(path))
            children.append(_Item(link.cid, path, link.tsize, fresh, inner))
        self._todo += reversed(children)
        return item.path

    async def _place_leaf(self, item: _Item, seen: View, block: Verified) -> Path:
        if item.path == self._root and await asyncio.to_thread(item.path.is_dir):
            item = item._replace(path=item.path / str(item.cid))
            if item.path in self._held:
                return await self._place(item)
            if held := await asyncio.to_thread(_find_whole, item.path, item.cid):
                self._tell_of(item.path, held)
                return item.path
        if seen.kind == "symlink":
            self._symlinks.append((item.path, os.fsdecode(seen.data)))
            self._tell(1, 0)
            return item.path
        self._require_room(self._small_bytes + seen.size)
        if not seen.links:
            self._small.append((item.path, item.cid, seen.data))
            self._small_bytes += len(seen.data)
            if self._small_bytes >= _FLUSH_BYTES or len(self._small) >= _FLUSH_FILES:
                await self._flush_small()
        else:
            await self._write_file(item, block, seen.size)
        return item.path

    async def _flush_small(self) -> None:
        digests = await asyncio.to_thread(_write_small, self._small, self._is_recorded)
        self._tell(len(self._small), self._small_bytes)
        for (path, cid, data), digest in zip(self._small, digests, strict=True):
            self._keep_in_mind(cid, path, _Content(len(data), digest))
        self._small, self._small_bytes = [], 0

    def _keep_in_mind(self, cid: Cid, path: Path, content: _Content) -> None:
        self._record_file(path, content)
        if len(self._written) < _REMEMBERED:
            self._written[cid] = path, content

    def _tell_of(self, path: Path, content: _Content) -> None:
        """Tell of a file that is in its place without having come."""
        self._tell(1, content.size)
        self._record_file(path, content)

    def _record_file(self, path: Path, content: _Content) -> None:
        self._record(str(path)[len(str(self._root)) + 1 :], content.size, content.digest)

    async def _write_file(self, item: _Item, block: Verified, size: int) -> None:
        part = item.path.with_name(part_name(item.cid))
        lacking = partial(self._lacking, part) if not item.fresh and await asyncio.to_thread(part.exists) else None
        made = hashlib.sha256() if self._is_recorded and lacking is None else None
        pieces: list[Piece] = []
        waiting = 0
        async for piece in walk_file(self._reader, item.cid, block, lacking=lacking):
            pieces.append(piece)
            waiting += len(piece.view.data)
            if waiting >= _FLUSH_BYTES:
                await self._flush(part, pieces, made)
                waiting = 0
        await self._flush(part, pieces, made)
        digest = b"" if made is None else made.digest()
        if self._is_recorded and made is None:  # a part of it was here already
            digest = await asyncio.to_thread(hash_file, part)
        await asyncio.to_thread(_complete, part, size, item.path)
        self._tell(1, 0)
        self._keep_in_mind(item.cid, item.path, _Content(size, digest))

    async def _flush(self, part: Path, pieces: list[Piece], made: Hash | None) -> None:
        await asyncio.to_thread(_write, part, pieces, made)
        self._tell(0, sum(len(piece.view.data) for piece in pieces))
        pieces.clear()

    async def _lacking(self, part: Path, wanted: list[Part]) -> list[Part]:
        lacking, held_bytes = await asyncio.to_thread(_compare, part, wanted)
        self._tell(0, held_bytes)
        return lacking


def part_name(cid: Cid) -> str:
    """Name a file while it grows."""
    return f".{cid}.part"


def _write_small(files: list[tuple[Path, Cid, bytes]], is_hashed: bool) -> list[bytes]:
    """Write files; return their SHA-256 where that is wanted, else b"" for each."""
    for path, cid, data in files:
        part = path.with_name(part_name(cid))
        part.write_bytes(data)
        os.replace(part, path)
    return [hashlib.sha256(data).digest() if is_hashed else b"" for _, _, data in files]


def _write(part: Path, pieces: list[Piece], made: Hash | None) -> None:
    with open(part, "r+b" if part.exists() else "xb") as file:
        for piece in pieces:
            file.seek(piece.offset)
            file.write(piece.view.data)
            if made is not None:
                made.update(piece.view.data)


def _complete(part: Path, size: int, path: Path) -> None:
    os.truncate(part, size)
    os.replace(part, path)


def _compare(part: Path, wanted: list[Part]) -> tuple[list[Part], int]:
    """List the leaves that the file does not hold yet; count the bytes of those that it does."""
    lacking, held_bytes = [], 0
    with open(part, "rb") as file:
        for leaf in wanted:
            file.seek(leaf.offset)
            data = file.read(leaf.size) if leaf.size <= LARGEST_BLOCK else b""
            if len(data) == leaf.size and leaf_cid(data, leaf.cid) == leaf.cid:
                held_bytes += leaf.size
            else:
                lacking.append(leaf)
    return lacking, held_bytes


def _is_vacant(path: Path) -> bool:
    return not path.is_symlink() and (not path.exists() or (path.is_dir() and not any(path.iterdir())))


def _find_whole(path: Path, cid: Cid) -> _Content | None:
    """Return what a file holds that is what `cid` names; None for another file, or none.

    A tree made by other rules than ours is fetched again, which costs time only.
    """
    found: list[_Content] = []

    def note(_: str, size: int, digest: bytes) -> None:
        found.append(_Content(size, digest))

    try:
        status = os.lstat(path)
        is_whole = stat.S_ISREG(status.st_mode) and root_cid(path, V0 if cid.version == 0 else V1, note) == cid
    except FileNotFoundError:
        return None
    return found[0] if is_whole else None


def _make_directory(path: Path) -> set[str]:
    """Make it if need be; returns what is in it. A symlink is refused: what it leads to is not ours to fill."""
    if path.is_symlink():
        raise StorageFailure(f"cannot write {path}: a symbolic link is in the way", hint="Use an empty folder.")
    path.mkdir(exist_ok=True)
    return set(os.listdir(path))


def _copy(twin: Path, path: Path, cid: Cid) -> None:
    part = path.with_name(part_name(cid))
    shutil.copyfile(twin, part)
    os.replace(part, path)


def _link(symlinks: list[tuple[Path, str]], inside: Path) -> None:
    """Made last, when nothing more is written through them; then those that lead outside, also by way of another, are
    removed.
    """
    for path, target in symlinks:
        if not (path.is_symlink() and os.readlink(path) == target):
            path.symlink_to(target)
    border = inside.resolve()
    for path, target in symlinks:
        # A loop of links resolves to itself and stays inside.
        if not Path(os.path.realpath(path)).is_relative_to(border):
            path.unlink()
            _log.warning("left out symbolic link %s: %s is outside of the result", path, target)


def too_many_entries(cid: Cid, most: int) -> StorageFailure:
    """Make the error of a tree with more entries than a reader takes."""
    return StorageFailure(f"content {cid} has more than {most:,} entries", hint="Name a part of it: CID/sub/path.")


def safe_name(raw: bytes, directory: Cid) -> str:
    """Return a link's name as that of a file. Raises StorageFailure for what can be none."""
    name = raw.decode("utf-8", "surrogateescape")
    if fault := name_fault(name):
        raise StorageFailure(f"refused: directory {directory} has an entry that can be no file: {fault}")
    return name
