"""The two wire formats of IPFS files: dag-pb nodes (links, then data) and the UnixFS message in their data.

Pure bytes in, values out; a malformed block is a ValueError, which `dag` words for people.
"""

from collections.abc import Iterator
from typing import NamedTuple

from bacalhau.plugins.ipfs.unixfs.cid import Cid, read_cid, read_varint, varint

RAW_DATA, DIRECTORY, FILE, METADATA, SYMLINK, SHARD = range(6)
MURMUR3_X64_64 = 0x22
FANOUT = 256


class Link(NamedTuple):
    """`tsize` is the size in bytes of everything the link leads to, blocks counted as often as they are linked."""

    cid: Cid
    name: bytes
    tsize: int


class Node(NamedTuple):
    links: tuple[Link, ...]
    data: bytes


class Unixfs(NamedTuple):
    """`blocksizes` are the file bytes below each link of a file; `fanout` and `hash_type` belong to shards."""

    kind: int
    data: bytes = b""
    filesize: int = 0
    blocksizes: tuple[int, ...] = ()
    hash_type: int = 0
    fanout: int = 0


def encode_node(links: list[Link], data: bytes) -> bytes:
    """Links come in the caller's order: by name for directories, by place for files."""
    out = []
    for link in links:
        raw = link.cid.raw
        body = b"".join(
            (b"\x0a", varint(len(raw)), raw, b"\x12", varint(len(link.name)), link.name, b"\x18", varint(link.tsize))
        )
        out += [b"\x12", varint(len(body)), body]
    return b"".join((*out, b"\x0a", varint(len(data)), data))


def decode_node(block: bytes) -> Node:
    links, data = [], b""
    for number, value in _fields(block):
        if number == 2 and isinstance(value, bytes):
            links.append(_decode_link(value))
        elif number == 1 and isinstance(value, bytes):
            data = value
    return Node(tuple(links), data)


def encode_file(data: bytes, filesize: int, blocksizes: tuple[int, ...] = ()) -> bytes:
    """The UnixFS message of a file's leaf (`data`) or inner node (`blocksizes`)."""
    body = b"\x12" + varint(len(data)) + data if data else b""
    return b"\x08\x02" + body + b"\x18" + varint(filesize) + b"".join(b"\x20" + varint(size) for size in blocksizes)


def encode_directory() -> bytes:
    return b"\x08\x01"


def encode_symlink(target: bytes) -> bytes:
    return b"\x08\x04\x12" + varint(len(target)) + target


def encode_shard(bitfield: bytes) -> bytes:
    return (
        b"\x08\x05\x12" + varint(len(bitfield)) + bitfield + b"\x28" + varint(MURMUR3_X64_64) + b"\x30" + varint(FANOUT)
    )


def decode_unixfs(message: bytes) -> Unixfs:
    numbers, data, sizes = {1: -1, 3: 0, 5: 0, 6: 0}, b"", []
    for number, value in _fields(message):
        if number == 2 and isinstance(value, bytes):
            data = value
        elif number == 4:
            sizes += [value] if isinstance(value, int) else _unpack(value)
        elif number in numbers and isinstance(value, int):
            numbers[number] = value
    if not RAW_DATA <= numbers[1] <= SHARD:
        raise ValueError("it is not a UnixFS node")
    return Unixfs(numbers[1], data, numbers[3], tuple(sizes), numbers[5], numbers[6])


def _decode_link(message: bytes) -> Link:
    cid, name, tsize = None, b"", 0
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            cid, _ = read_cid(value)
        elif number == 2 and isinstance(value, bytes):
            name = value
        elif number == 3 and isinstance(value, int):
            tsize = value
    if cid is None:
        raise ValueError("a link has no CID")
    return Link(cid, name, tsize)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Protobuf fields; numbers of fixed width are passed over, no field of ours has one."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = read_varint(message, at)
            yield tag >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"protobuf wire type {kind} is not known")
        size, at = read_varint(message, at) if kind == 2 else ((8, at) if kind == 1 else (4, at))
        if at + size > len(message):
            raise ValueError("it is cut short")
        if kind == 2:
            yield tag >> 3, message[at : at + size]
        at += size


def _unpack(packed: bytes) -> list[int]:
    values, at = [], 0
    while at < len(packed):
        value, at = read_varint(packed, at)
        values.append(value)
    return values
