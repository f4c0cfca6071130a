"""Lists that are kept and sent as blocks: JSON, compressed, of a size that is bounded when it is unpacked."""

import zlib
from typing import TypeVar

import msgspec

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import decode, encode

LARGEST = 8_000_000  # bytes of a block when it is unpacked: what is larger did not come from here
_FAST = 1  # level of compression
T = TypeVar("T")


def pack(value: object) -> bytes:
    return zlib.compress(encode(value), _FAST)


def unpack(block: bytes, kind: type[T]) -> T:
    """Read a block. Raises BadRequest when it is none."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(block, LARGEST)
        if not unpacker.eof:
            raise BadRequest("a page of a list is cut off, or larger than one can be")
        return decode(text, kind)
    except (zlib.error, msgspec.DecodeError) as e:
        raise BadRequest(f"a page of a list cannot be read: {e}") from e
