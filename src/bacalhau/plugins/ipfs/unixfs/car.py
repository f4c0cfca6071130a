"""CARv1: the stream of blocks in which content travels over HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.ipfs.unixfs.cid import LARGEST_BLOCK, Cid, read_cid, read_varint, varint

_LONGEST_FRAME = LARGEST_BLOCK + 1024


class CarBlock(NamedTuple):
    """Not verified yet."""

    cid: Cid
    block: bytes


def car_header(root: Cid) -> bytes:
    """The DAG-CBOR map {roots: [root], version: 1} as a frame."""
    link = b"\0" + root.raw
    body = b"\xa2\x65roots\x81\xd8\x2a\x58" + bytes((len(link),)) + link + b"\x67version\x01"
    return varint(len(body)) + body


def car_frame(cid: Cid, block: bytes) -> bytes:
    raw = cid.raw
    return b"".join((varint(len(raw) + len(block)), raw, block))


async def read_car(chunks: AsyncIterator[bytes]) -> AsyncGenerator[CarBlock, None]:
    """The blocks of a CARv1 as they arrive. StorageFailure when it is malformed; EOFError when it ends
    inside a frame.
    """
    buffer = bytearray()
    frames = 0
    async for chunk in chunks:
        buffer += chunk
        start = 0
        while (bounds := _frame_at(buffer, start)) is not None:
            body, end = bounds
            if frames:
                yield _block(bytes(buffer[body:end]))
            elif b"version" not in buffer[body:end]:
                raise StorageFailure("what the server sent is not a CAR stream")
            frames += 1
            start = end
        del buffer[:start]
    if buffer or not frames:
        raise EOFError("the CAR stream ended in the middle")


def _frame_at(buffer: bytearray, start: int) -> tuple[int, int] | None:
    """Find the body of the frame at `start`; None while the frame is not whole."""
    head = bytes(buffer[start : start + 10])
    if not any(byte < 0x80 for byte in head):
        if len(head) == 10:
            raise StorageFailure("what the server sent is not a CAR stream")
        return None
    size, length = read_varint(head, 0)
    if size > _LONGEST_FRAME or size == 0:
        raise StorageFailure(f"the server sent a CAR frame of {size} bytes; blocks have at most {LARGEST_BLOCK}")
    end = start + length + size
    return (start + length, end) if end <= len(buffer) else None


def _block(frame: bytes) -> CarBlock:
    try:
        cid, end = read_cid(frame)
    except ValueError as e:
        raise StorageFailure(f"the CAR stream holds a block whose CID cannot be read: {e}") from e
    return CarBlock(cid, frame[end:])
