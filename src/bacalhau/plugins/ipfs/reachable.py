"""The blocks that belong to a file or folder: a walk from its root over the links of the blocks that are held."""

from collections.abc import Callable, Iterable

from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, Cid
from bacalhau.plugins.ipfs.unixfs.dagpb import decode_node

SizeOf = Callable[[Cid], int | None]
Read = Callable[[Cid], bytes]


def reachable(roots: Iterable[Cid], size_of: SizeOf, read: Read) -> dict[str, Cid]:
    """Return the held blocks below `roots`, with these, by key. `size_of` is None for a block that is not held.

    A block as large as the link to it says of everything below has no links, and is not read. One that cannot be read
    as a node has none either.
    """
    found: dict[str, Cid] = {}
    waiting = [(root, -1) for root in roots]
    while waiting:
        cid, below = waiting.pop()
        if cid.inline is not None or cid.key in found or (size := size_of(cid)) is None:
            continue
        found[cid.key] = cid
        if cid.codec == DAG_PB and size != below:
            waiting += _links(read(cid))
    return found


def _links(block: bytes) -> list[tuple[Cid, int]]:
    try:
        return [(link.cid, link.tsize) for link in decode_node(block).links]
    except ValueError:
        return []
