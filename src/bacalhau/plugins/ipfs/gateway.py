"""The answers of an HTTP gateway from the content store: CARs and raw blocks for those who verify, files, folders and
tars for all.

The API room parses requests and sets headers. Everything streams with bounded memory; NotFound comes with the first
item.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from bacalhau.border.tar import END, Member, header, padding
from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.ipfs.tree import safe_name
from bacalhau.plugins.ipfs.unixfs.car import car_frame, car_header
from bacalhau.plugins.ipfs.unixfs.cid import Cid, parse_cid
from bacalhau.plugins.ipfs.unixfs.read import (
    WINDOW,
    Blocks,
    OwnReader,
    Reader,
    Verified,
    node_of,
    resolve,
    view,
    walk_directory,
    walk_file,
)

SCOPES = ("all", "entity", "block")
_CHUNK = 64 << 10

CidBlock = tuple[Cid, bytes]


class Found(NamedTuple):
    """`kind` is file, directory or symlink; `size` in bytes: of a file its content, of a directory all blocks below it.

    `trail`: the CIDs of the directories passed, which a CAR of a path has to begin with.
    """

    cid: str
    kind: str
    size: int
    trail: tuple[str, ...] = ()


class Listed(NamedTuple):
    """An entry of a directory; `size` is that of all blocks below it."""

    name: str
    cid: str
    size: int


async def resolve_path(content: Blocks, cid: str, path: str) -> Found:
    """Find what `path` below `cid` names. Raises BadRequest for a bad CID, NotFound for a missing block or name."""
    reader = OwnReader(content)
    at, passed = await resolve(reader, parse_cid(cid), path)
    block = await reader.get(at)
    seen = view(at, block)
    if seen.kind in ("directory", "shard"):
        kind, size = "directory", len(block) + sum(link.tsize for link in seen.links)
    else:
        kind, size = seen.kind, seen.size
    return Found(str(at), kind, size, tuple(str(c) for c, _ in passed))


async def raw_block(content: Blocks, cid: str) -> bytes:
    return await OwnReader(content).get(parse_cid(cid))


def entity_bytes(text: str, size: int) -> tuple[int, int | None]:
    """`from:to` of the gateway specification (inclusive; `*` is the end, negative counts from it) → [begin, end)."""
    first, _, last = text.partition(":")
    try:
        begin, end = int(first), None if last == "*" else int(last)
    except ValueError as e:
        raise BadRequest(f"entity-bytes={text} is not a range", hint="Write from:to or from:*.") from e
    begin = max(0, begin + size) if begin < 0 else begin
    if end is None:
        return begin, None
    end = end + size if end < 0 else end
    if end < begin:
        raise BadRequest(f"entity-bytes={text} ends before it begins")
    return begin, end + 1


async def stream_car(
    content: Blocks,
    cid: str,
    scope: str = "all",
    byte_from: int = 0,
    byte_to: int | None = None,
    trail: Sequence[str] = (),
) -> AsyncIterator[bytes]:
    """CARv1 with root `cid`: the blocks of `trail`, then depth-first those in `scope`, each once.

    BadRequest for another scope.

    Of a file only the blocks with bytes in [byte_from, byte_to) and the way to them. Remembers 100 bytes a block sent.
    """
    if scope not in SCOPES:
        raise BadRequest(f"dag-scope={scope} is not known", hint=f"Known are {', '.join(SCOPES)}.")
    root, reader = parse_cid(cid), OwnReader(content)
    sent = {parse_cid(passed) for passed in trail}
    waiting, size = (
        [car_header(root)] + [car_frame(passed, await reader.get(passed)) for passed in map(parse_cid, trail)],
        0,
    )
    async for at, block in _chosen(reader, root, scope, (byte_from, byte_to)):
        if at in sent:
            continue
        sent.add(at)
        waiting.append(car_frame(at, block))
        size += len(block)
        if size >= _CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


async def stream_file(content: Blocks, cid: str, offset: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
    """The bytes [offset, end) of a file; BadRequest when it is none."""
    reader, at = OwnReader(content), parse_cid(cid)
    root = await reader.get(at)
    if (kind := view(at, root).kind) != "file":
        raise BadRequest(f"{cid} is a {'directory' if kind == 'shard' else kind}, not a file")
    async for piece in walk_file(reader, at, root, offset, end):
        stop = len(piece.view.data) if end is None else end - piece.offset
        if data := piece.view.data[max(0, offset - piece.offset) : max(0, stop)]:
            yield data


async def list_directory(content: Blocks, cid: str) -> list[Listed]:
    """The entries by name; BadRequest when it is no directory."""
    reader, at = OwnReader(content), parse_cid(cid)
    block = await reader.get(at)
    if view(at, block).kind not in ("directory", "shard"):
        raise BadRequest(f"{cid} is not a directory")
    entries = [link async for _, _, links in walk_directory(reader, at, block) for link in links]
    return [
        Listed(safe_name(link.name, at), str(link.cid), link.tsize)
        for link in sorted(entries, key=lambda link: link.name)
    ]


async def stream_tar(content: Blocks, cid: str) -> AsyncIterator[bytes]:
    """The tree as tar; its root carries the CID's text as name, as other gateways do it."""
    todo = [(parse_cid(cid), cid)]
    while todo:
        at, name = todo.pop()
        reader = OwnReader(content)
        block = await reader.get(at)
        seen = view(at, block)
        if seen.kind == "symlink":
            member = Member(name, mode=0o777, link=seen.data.decode("utf-8", "surrogateescape"))
        elif seen.kind == "file":
            member = Member(name, seen.size)
        else:
            member = Member(name, mode=0o755, is_folder=True)
            todo += reversed(
                [(parse_cid(entry.cid), f"{name}/{entry.name}") for entry in await list_directory(content, str(at))]
            )
        yield header(member)
        if seen.size:
            async for data in stream_file(content, str(at)):
                yield data
            yield padding(seen.size)
    yield END


async def _chosen(reader: Reader, root: Cid, scope: str, span: tuple[int, int | None]) -> AsyncIterator[CidBlock]:
    block = await reader.get(root)
    everything = scope == "all" and span == (0, None)
    kind = view(root, block).kind if scope != "block" and not everything else ""
    if kind == "file":
        async for piece in walk_file(reader, root, block, *span):
            yield piece.cid, piece.block
    elif kind in ("directory", "shard") and scope == "entity":
        async for at, shard, _ in walk_directory(reader, root, block):
            yield at, shard
    elif scope == "all":
        async for found in _below(reader, root, block):
            yield found
    else:
        yield root, block


async def _below(reader: Reader, root: Cid, block: Verified) -> AsyncIterator[CidBlock]:
    """Everything, whatever it means: links of blocks that are not dag-pb are not followed."""
    todo, met = [root], set[Cid]()
    while todo:
        at = todo.pop()
        if at in met:
            continue
        met.add(at)
        here = block if at == root else await reader.get(at, [later for later in todo[:-WINDOW:-1] if later not in met])
        yield at, here
        todo += reversed(_links(at, here))


def _links(cid: Cid, block: bytes) -> list[Cid]:
    try:
        return [link.cid for link in node_of(cid, block).links]
    except ValueError:
        return []
