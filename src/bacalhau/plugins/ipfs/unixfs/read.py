"""Reading UnixFS: what a block is, the blocks of a file in order, the entries of a directory, the way along a path.

Servers, nodes and other IPFS daemons are each a `Supplier`, whose blocks may be anything. All that understands blocks
takes a `Reader`, whose blocks are what their CIDs say: `VerifiedReader` makes one of a supplier and hashes each block
as it hands it out. `OwnReader` reads our own store, which has hashed its blocks already.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, NewType, Protocol, runtime_checkable

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import NotFound, StorageFailure
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, LARGEST_BLOCK, RAW, Cid
from bacalhau.plugins.ipfs.unixfs.dagpb import (
    DIRECTORY,
    FANOUT,
    FILE,
    RAW_DATA,
    SHARD,
    SYMLINK,
    Link,
    Node,
    decode_node,
    decode_unixfs,
)
from bacalhau.plugins.ipfs.unixfs.shard import DEEPEST, slot

WINDOW = 16
_DEEPEST_FILE = 64  # levels; with two links a node that is more bytes than there are
_SMALL_BYTES = 64 << 10  # a block that is hashed sooner than a thread begins
Verified = NewType("Verified", bytes)
"""The bytes of a block, once they are known to be what its CID says."""
_KINDS = {RAW_DATA: "file", FILE: "file", DIRECTORY: "directory", SHARD: "shard", SYMLINK: "symlink"}


class View(NamedTuple):
    """A block understood: `kind` is file, directory, shard (part of a directory) or symlink; `size` in bytes of a file.

    `data` is file content or a symlink's target; `sizes` are the file bytes below each link of a file.
    """

    kind: str
    links: tuple[Link, ...]
    data: bytes
    size: int
    sizes: tuple[int, ...]


class Anchor(NamedTuple):
    """A point from which a reader may read on: the blocks of `cid`, in depth-first order, from file byte `offset`."""

    cid: Cid
    offset: int = 0


class Supplier(Protocol):
    """A source of blocks that nobody has to trust."""

    async def get(self, cid: Cid, upcoming: Sequence[Cid] = (), anchor: Anchor | None = None) -> bytes:
        """Fetch one block, or what is passed off as it.

        `upcoming` will be asked for next; with an `anchor`, this and all that follows may be streamed from there.
        """
        ...


class Reader(Protocol):
    """A source of verified blocks."""

    async def get(self, cid: Cid, upcoming: Sequence[Cid] = (), anchor: Anchor | None = None) -> Verified:
        """Fetch one block as a `Supplier` does. Raises StorageFailure when it is not what its CID says."""
        ...


class VerifiedReader:
    """A `Reader` over a supplier that may be broken or lie."""

    def __init__(self, supplier: Supplier) -> None:
        self._supplier = supplier

    async def get(self, cid: Cid, upcoming: Sequence[Cid] = (), anchor: Anchor | None = None) -> Verified:
        block = await self._supplier.get(cid, upcoming, anchor)
        if len(block) > LARGEST_BLOCK:
            raise StorageFailure(f"block {cid} has more than {LARGEST_BLOCK} bytes", hint=_OTHER_SERVER)
        if not (cid.matches(block) if len(block) <= _SMALL_BYTES else await asyncio.to_thread(cid.matches, block)):
            raise StorageFailure(f"block {cid} does not hash to its CID", hint=_OTHER_SERVER)
        return Verified(block)


_OTHER_SERVER = "The server that sent it is broken or lies; try another one."


class Blocks(Protocol):
    """The reading part of a ContentStore."""

    async def get(self, cid: str) -> bytes: ...


@runtime_checkable
class ManyBlocks(Protocol):
    """A store that reads several blocks in one trip."""

    async def get_many(self, cids: Sequence[str]) -> list[bytes]: ...


class StoreReader:
    """A `Supplier` that reads from a store, some blocks ahead."""

    def __init__(self, content: Blocks) -> None:
        self._content = content
        self._ahead: dict[Cid, bytes] = {}

    async def get(self, cid: Cid, upcoming: Sequence[Cid] = (), anchor: Anchor | None = None) -> bytes:
        if (inline := cid.inline) is not None:
            return inline
        if (found := self._ahead.pop(cid, None)) is not None:
            return found
        room = max(0, 2 * WINDOW - len(self._ahead))
        later = [
            c for c in dict.fromkeys(upcoming[: WINDOW - 1]) if c != cid and c not in self._ahead and c.inline is None
        ][:room]
        first, *rest = await self._fetch([str(cid), *map(str, later)])
        self._ahead.update(zip(later, rest, strict=True))
        return first

    async def _fetch(self, cids: list[str]) -> list[bytes]:
        if isinstance(self._content, ManyBlocks):
            return await self._content.get_many(cids)
        return await gather_bounded(WINDOW, [partial(self._content.get, cid) for cid in cids])


class OwnReader:
    """A `Reader` of this system's own store, which hashes each block when it reads it from the disk."""

    def __init__(self, content: Blocks) -> None:
        self._store = StoreReader(content)

    async def get(self, cid: Cid, upcoming: Sequence[Cid] = (), anchor: Anchor | None = None) -> Verified:
        return Verified(await self._store.get(cid, upcoming, anchor))


def view(cid: Cid, block: Verified) -> View:
    """Decode a block. Raises StorageFailure for what is not UnixFS."""
    if cid.codec == RAW:
        return View("file", (), block, len(block), ())
    try:
        node = node_of(cid, block)
        unixfs = decode_unixfs(node.data)
        if unixfs.kind not in _KINDS:
            raise ValueError("UnixFS metadata nodes are not supported")
        if unixfs.kind in (FILE, RAW_DATA) and len(node.links) != len(unixfs.blocksizes):
            raise ValueError("its links and block sizes do not match")
        if unixfs.kind == SHARD and unixfs.fanout != FANOUT:
            raise ValueError(f"a shard of width {unixfs.fanout} is not supported")
        if unixfs.kind == DIRECTORY and len({link.name for link in node.links}) < len(node.links):
            raise ValueError("two of its entries have the same name")
        if unixfs.kind == SHARD and len(node.links) > FANOUT:
            raise ValueError(f"a shard of width {unixfs.fanout} cannot have {len(node.links)} links")
    except ValueError as e:
        raise StorageFailure(f"block {cid} cannot be read as IPFS file: {e}") from e
    # A leaf's own data counts, not what it says about its size, so that a wrong size cannot move what follows.
    kind = _KINDS[unixfs.kind]
    size = len(unixfs.data) + sum(unixfs.blocksizes) if kind == "file" else 0
    return View(kind, node.links, unixfs.data, size, unixfs.blocksizes)


def node_of(cid: Cid, block: bytes) -> Node:
    """The links of any block; raw blocks have none. ValueError for other codecs."""
    if cid.codec == RAW:
        return Node((), block)
    if cid.codec != DAG_PB:
        raise ValueError(f"codec 0x{cid.codec:x} is not dag-pb")
    return decode_node(block)


class Piece(NamedTuple):
    """A block of a file and the file byte it begins at. A leaf's bytes are `view.data`."""

    cid: Cid
    block: Verified
    view: View
    offset: int


class Part(NamedTuple):
    """A subtree of a file: `size` file bytes from `offset` on, `depth` links below the root."""

    cid: Cid
    offset: int
    size: int
    depth: int


Lacking = Callable[[list[Part]], Awaitable[list[Part]]]


async def walk_file(
    reader: Reader, cid: Cid, root: Verified, begin: int = 0, end: int | None = None, lacking: Lacking | None = None
) -> AsyncIterator[Piece]:
    """The blocks of file `cid` with root block `root`, depth first: those inside [begin, end) and the way to them.

    `lacking` sorts out parts that need not be fetched. Parts without bytes are passed over, so a walk takes no more
    steps than the file has bytes for each level. StorageFailure when the tree contradicts itself, or is deeper than any
    writer makes one.
    """
    todo = [Part(cid, 0, -1, 0)]
    while todo:
        now = todo.pop()
        upcoming = [later.cid for later in todo[:-WINDOW:-1]]
        block = root if now.size < 0 else await reader.get(now.cid, upcoming, Anchor(cid, now.offset))
        seen = view(now.cid, block)
        if seen.kind != "file" or now.size not in (-1, seen.size):
            raise StorageFailure(f"block {now.cid} is not the part of file {cid} that its parent describes")
        if seen.links and now.depth == _DEEPEST_FILE:
            raise StorageFailure(f"file {cid} is nested more than {_DEEPEST_FILE} levels deep")
        yield Piece(now.cid, block, seen, now.offset)
        parts = _parts(now, seen, begin, end)
        todo += reversed(await lacking(parts) if lacking and parts else parts)


def _parts(above: Part, seen: View, begin: int, end: int | None) -> list[Part]:
    inside = []
    offset = above.offset + len(seen.data)
    for link, size in zip(seen.links, seen.sizes, strict=True):
        if size and (end is None or offset < end) and offset + size > begin:
            inside.append(Part(link.cid, offset, size, above.depth + 1))
        offset += size
    return inside


async def walk_directory(reader: Reader, cid: Cid, block: Verified) -> AsyncIterator[tuple[Cid, Verified, list[Link]]]:
    """The blocks of a directory (one, or its shards in depth-first order) with the entries each one adds."""
    seen = view(cid, block)
    if seen.kind == "directory":
        yield cid, block, list(seen.links)
        return
    todo, met = [cid], {cid}
    while todo:
        shard = todo.pop()
        block = block if shard == cid else await reader.get(shard, todo[:-WINDOW:-1])
        links = view(shard, block).links
        yield shard, block, [link._replace(name=link.name[2:]) for link in links if len(link.name) > 2]
        below = [link.cid for link in links if len(link.name) <= 2]
        # No name has two places, so a shard that comes twice can only be meant to keep us busy.
        if met.intersection(below) or len(set(below)) < len(below):
            raise StorageFailure(f"directory {cid} links a shard twice")
        met.update(below)
        todo += reversed(below)


async def resolve(reader: Reader, cid: Cid, path: str) -> tuple[Cid, list[tuple[Cid, Verified]]]:
    """Follow `path` (names with `/` between) from `cid`; also the blocks passed on the way.

    NotFound names the missing part.
    """
    passed: list[tuple[Cid, Verified]] = []
    at = cid
    names = [name for name in path.split("/") if name]
    for i, name in enumerate(names):
        found = await _entry(reader, at, name.encode("utf-8", "surrogateescape"), passed)
        if found is None:
            raise NotFound(
                f"no '{'/'.join(names[: i + 1])}' in {cid}", hint="List what is there: the path begins below the CID."
            )
        at = found
    return at, passed


async def _entry(reader: Reader, cid: Cid, name: bytes, passed: list[tuple[Cid, Verified]]) -> Cid | None:
    for depth in range(DEEPEST):
        block = await reader.get(cid)
        passed.append((cid, block))
        seen = view(cid, block)
        if seen.kind == "directory":
            return next((link.cid for link in seen.links if link.name == name), None)
        if seen.kind != "shard":
            return None
        digits = slot(name, depth)
        links = {link.name: link.cid for link in seen.links}
        if digits + name in links:
            return links[digits + name]
        if digits not in links:
            return None
        cid = links[digits]
    return None
