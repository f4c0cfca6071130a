"""Files and folders → the blocks of a UnixFS DAG, with the CIDs that `ipfs add -r` gives.

Hidden files are part of the tree: a result that lacks `.cache/model` would be lost data, so here this differs
from `ipfs add -r`, which drops them unless told otherwise. Modes and times are not stored, as there.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.hashing import Hash, Listener
from bacalhau.lib.tree import walk
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, RAW, Cid, cid_of
from bacalhau.plugins.ipfs.unixfs.dagpb import Link, encode_directory, encode_file, encode_node, encode_symlink
from bacalhau.plugins.ipfs.unixfs.shard import build_shards


class Profile(NamedTuple):
    """The rule by which a tree becomes blocks: `chunk` file bytes a leaf, `width` links a node; version 1 has raw
    leaves.

    A directory is sharded when the names and CIDs of its entries take more than `shard_above` bytes (older Kubos also
    at exactly that).
    """

    version: int
    chunk: int = 262_144
    width: int = 174
    shard_above: int = 262_144


V0 = Profile(0)
V1 = Profile(1)

Block = tuple[Cid, bytes]
_BATCH_BYTES = 4 << 20
_BATCH_BLOCKS = 2000


class _Part(NamedTuple):
    """A node of a file that still waits for its parent; `size` in file bytes."""

    link: Link
    size: int


Parts = Generator[Block, None, _Part]
Links = Generator[Block, None, Link]


def build(path: Path, profile: Profile = V0, tell: Listener | None = None) -> Links:
    """Yields the blocks of a file, symlink or folder, children first and the root last; returns the link to the root.
    `tell` is told of each regular file; one that is the root has the path "".

    Memory is one chunk, a few hundred links and the entries of the folders on the way down. OSError from reading;
    BadRequest for what cannot be stored (sockets, FIFOs, devices).
    """
    return _add(os.fspath(path), profile, tell)


async def build_batches(path: Path, profile: Profile = V0, tell: Listener | None = None) -> AsyncIterator[list[Block]]:
    """`build`, read and hashed in a thread, in batches of some 4 MiB."""
    blocks = build(path, profile, tell)
    while batch := await asyncio.to_thread(_take, blocks):
        yield batch


def root_cid(path: Path, profile: Profile = V0, tell: Listener | None = None) -> Cid:
    """The CID alone. Blocking: for threads."""
    last = None
    for cid, _ in build(path, profile, tell):
        last = cid
    assert last is not None
    return last


def content_size(path: Path) -> int:
    """File bytes below `path`; BadRequest when it holds what cannot be stored. Blocking: for threads."""
    size = 0
    for name, status in walk(path):
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            size += status.st_size
        elif not stat.S_ISDIR(status.st_mode):
            raise not_storable(os.path.join(path, name))
    return size


def not_storable(path: str) -> BadRequest:
    return BadRequest(
        f"'{path}' is a socket, FIFO or device and cannot be published", hint="Remove it at the end of the job."
    )


def leaf_cid(data: bytes, like: Cid) -> Cid:
    """The CID of a file leaf holding `data`, in the manner of `like`."""
    return (
        cid_of(data, RAW, 1)
        if like.codec == RAW
        else cid_of(encode_node([], encode_file(data, len(data))), DAG_PB, like.version)
    )


def _take(blocks: Iterator[Block]) -> list[Block]:
    batch, size = [], 0
    for block in blocks:
        batch.append(block)
        size += len(block[1])
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_BLOCKS:
            break
    return batch


class _Folder:
    """A folder on the way down: `names` are its entries that are still to be added, the next one last."""

    def __init__(self, path: str, name: bytes) -> None:
        self.path, self.name = path, name
        self.names = sorted((os.fsencode(entry) for entry in os.listdir(path)), reverse=True)
        self.links: list[Link] = []


def _add(path: str, profile: Profile, tell: Listener | None) -> Links:
    """Add a file, symlink or folder; folders by a stack of their own, because they may be nested without end."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return (yield from _add_leaf(path, "", profile, tell))
    way = [_Folder(path, b"")]
    while True:
        here = way[-1]
        if here.names:
            name = here.names.pop()
            child = os.path.join(here.path, os.fsdecode(name))
            if stat.S_ISDIR(os.lstat(child).st_mode):
                way.append(_Folder(child, name))
            else:
                below = child[len(path) + 1 :]
                here.links.append((yield from _add_leaf(child, below, profile, tell))._replace(name=name))
            continue
        link = yield from _add_folder(here.links, profile)
        way.pop()
        if not way:
            return link
        way[-1].links.append(link._replace(name=here.name))


def _add_leaf(path: str, below: str, profile: Profile, tell: Listener | None) -> Links:
    mode = os.lstat(path).st_mode
    if stat.S_ISREG(mode):
        made = None if tell is None else hashlib.sha256()
        with open(path, "rb", buffering=0) as file:
            part = yield from _add_file(file, profile, made)
        if tell is not None and made is not None:
            tell(below, part.size, made.digest())
        return part.link
    if stat.S_ISLNK(mode):
        return (yield from _node([], encode_symlink(os.fsencode(os.readlink(path))), profile))
    raise not_storable(path)


def _add_folder(links: list[Link], profile: Profile) -> Links:
    if sum(len(link.name) + len(link.cid.raw) for link in links) > profile.shard_above:
        return (yield from build_shards(links, profile.version))
    return (yield from _node(links, encode_directory(), profile))


def _add_file(file: BinaryIO, profile: Profile, made: Hash | None) -> Parts:
    """Levels grow to the left: level 0 holds leaves, a full level becomes one node of the next when
    something follows.
    """
    levels: list[list[_Part]] = [[]]
    while chunk := _read_full(file, profile.chunk):
        if made is not None:
            made.update(chunk)
        yield from _push(levels, 0, (yield from _leaf(chunk, profile)), profile)
    if not levels[0]:
        return (yield from _leaf(b"", profile))
    depth = 0
    while depth < len(levels) - 1 or len(levels[depth]) > 1:
        if levels[depth]:
            node = yield from _inner(levels[depth], profile)
            levels[depth] = []
            yield from _push(levels, depth + 1, node, profile)
        depth += 1
    return levels[depth][0]


def _push(levels: list[list[_Part]], depth: int, part: _Part, profile: Profile) -> Generator[Block, None, None]:
    if depth == len(levels):
        levels.append([])
    if len(levels[depth]) == profile.width:
        node = yield from _inner(levels[depth], profile)
        levels[depth] = []
        yield from _push(levels, depth + 1, node, profile)
    levels[depth].append(part)


def _leaf(chunk: bytes, profile: Profile) -> Parts:
    if profile.version == 0:
        link = yield from _node([], encode_file(chunk, len(chunk)), profile)
        return _Part(link, len(chunk))
    cid = cid_of(chunk, RAW, 1)
    yield cid, chunk
    return _Part(Link(cid, b"", len(chunk)), len(chunk))


def _inner(parts: list[_Part], profile: Profile) -> Parts:
    sizes = tuple(part.size for part in parts)
    link = yield from _node([part.link for part in parts], encode_file(b"", sum(sizes), sizes), profile)
    return _Part(link, sum(sizes))


def _node(links: list[Link], data: bytes, profile: Profile) -> Links:
    block = encode_node(links, data)
    cid = cid_of(block, DAG_PB, profile.version)
    yield cid, block
    return Link(cid, b"", len(block) + sum(link.tsize for link in links))


def _read_full(file: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes but at the end: a read may return less, a chunk may not."""
    chunk = file.read(size)
    while chunk and len(chunk) < size and (more := file.read(size - len(chunk))):
        chunk += more
    return chunk
