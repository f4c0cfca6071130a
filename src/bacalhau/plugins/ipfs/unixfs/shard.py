"""Sharded directories (HAMT): where a name goes, and the nodes of a whole directory.

Reading them is left to `dag`, deciding when to shard to `unixfs`.
"""

from collections.abc import Generator

from bacalhau.lib.errors import BadRequest
from bacalhau.plugins.ipfs.unixfs.cid import DAG_PB, Cid, cid_of
from bacalhau.plugins.ipfs.unixfs.dagpb import Link, encode_node, encode_shard
from bacalhau.plugins.ipfs.unixfs.murmur import murmur3_x64_64

DEEPEST = 8
Hashed = tuple[bytes, Link]


def build_shards(links: list[Link], version: int) -> Generator[tuple[Cid, bytes], None, Link]:
    """Yields the blocks of the directory, children first; returns the link (without a name) to its root.

    BadRequest for names of equal hash.
    """
    return (yield from _level([(murmur3_x64_64(link.name), link) for link in links], 0, version))


def slot(name: bytes, depth: int) -> bytes:
    """The two hexadecimal digits under which `name` is found at `depth`."""
    return b"%02X" % murmur3_x64_64(name)[depth]


def _level(entries: list[Hashed], depth: int, version: int) -> Generator[tuple[Cid, bytes], None, Link]:
    if depth == DEEPEST:
        raise BadRequest(
            f"the names {', '.join(repr(link.name) for _, link in entries[:2])} have the same hash and cannot be in one"
            " sharded directory"
        )
    slots: dict[int, list[Hashed]] = {}
    for entry in entries:
        slots.setdefault(entry[0][depth], []).append(entry)
    links = []
    for place in sorted(slots):
        digits = b"%02X" % place
        if len(slots[place]) == 1:
            link = slots[place][0][1]
            links.append(link._replace(name=digits + link.name))
        else:
            below = yield from _level(slots[place], depth + 1, version)
            links.append(below._replace(name=digits))
    bits = sum(1 << place for place in slots)
    block = encode_node(links, encode_shard(bits.to_bytes((bits.bit_length() + 7) // 8, "big")))
    cid = cid_of(block, DAG_PB, version)
    yield cid, block
    return Link(cid, b"", len(block) + sum(link.tsize for link in links))
