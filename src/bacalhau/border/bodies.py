"""Bodies of answers that are read whole, up to a bound.

Pages of listings, keys of identity providers and answers of an API are read into memory before anything understands
them. A server that sends more than any such answer has is broken or means harm. What is streamed to a disk is bounded
there, by the length that was said before and by the task's disk.
"""

from collections.abc import AsyncIterator

from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.units import show_bytes

SMALL = 1 << 20  # bytes: keys of a provider, a token, the name of a node
PAGE = 16 << 20  # of a listing: S3's have 1,000 keys, in 4 MB at most
ANSWER = 512 << 20  # of the API: one job may have 64 MB


class BodyTooLong(BacalhauError):
    """A body that has more bytes than its kind can have."""

    code = "BodyTooLong"


async def read_body(chunks: AsyncIterator[bytes], limit: int, whose: str) -> bytes:
    """Read a body whole. Raises BodyTooLong, naming `whose` it is, when it has more than `limit` bytes."""
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > limit:
            raise BodyTooLong(
                f"{whose} answered with more than {show_bytes(limit)}, which no such answer has",
                hint="the server is broken or not what it is taken for: check its address",
            )
        body += chunk
    return bytes(body)
