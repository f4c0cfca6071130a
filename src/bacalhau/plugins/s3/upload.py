"""Objects too large for one request, or whose size nobody knows yet: parts in flight side by side, memory bounded."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import NamedTuple
from xml.sax.saxutils import escape

from bacalhau.lib.aio import together
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.units import show_bytes
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Answer, Request, S3Client, read_all
from bacalhau.plugins.s3.operation import (
    DIGEST_HEADER,
    DIGEST_METADATA,
    Stored,
    digest_text,
    parse_answer,
    put,
    read_text,
    read_version,
)
from bacalhau.ports.publisher import Confirm, always_allowed

PART_BYTES = 8 << 20
LARGEST_PART = 64 << 20  # bytes; about five of them are in memory at once
MOST_PARTS = 10_000  # that S3 allows
_PARTS = 9000  # of these, which leaves room for a guess that was too small
_IN_FLIGHT = 3
_ABORT_SECONDS = 10

Query = tuple[tuple[str, str], ...]


class Target(NamedTuple):
    """The destination of an object; `confirm` is awaited right before it can be seen there."""

    client: S3Client
    address: BucketAddress
    key: str
    confirm: Confirm = always_allowed


class Upload(NamedTuple):
    """A begun multipart upload."""

    target: Target
    id: str

    async def put_part(self, number: int, body: bytes) -> str:
        """Store one part; return its row for `finish`."""
        digest = await asyncio.to_thread(digest_text, body)
        query = (("partNumber", str(number)), ("uploadId", self.id))
        answer = await self._call("PUT", query, ((DIGEST_HEADER, digest),), body)
        etag = escape(answer.headers.get("ETag", ""))
        is_kept = self.target.client.takes_checksums(self.target.address)
        checksum = f"<ChecksumSHA256>{digest}</ChecksumSHA256>" if is_kept else ""
        return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{checksum}</Part>"

    async def finish(self, rows: list[str]) -> Stored:
        body = (
            "<CompleteMultipartUpload"
            f' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{"".join(rows)}</CompleteMultipartUpload>'
        )
        query = (("uploadId", self.id),)
        request = Request(
            self.target.address, "POST", self.target.key, query, body=body.encode(), confirm=self.target.confirm
        )
        answer = await self.target.client.call(request, read_all)
        root = parse_answer(answer.body, self.target.address)
        # Success is announced before the parts are put together, so a failure comes with status 200.
        if root.tag.endswith("Error"):
            said = f"{read_text(root, 'Code')}: {read_text(root, 'Message')}"
            bucket = self.target.address.bucket
            raise StorageFailure(
                f"s3: object {self.target.key} in bucket {bucket} could not be put together: {said}",
                retryable=True,
                component="S3",
            )
        return Stored(read_text(root, "ETag"), read_version(answer.headers))

    async def abort(self) -> None:
        """Parts that nobody puts together would be paid for.

        Says nothing when it fails: whoever aborts has a better error.
        """
        with suppress(StorageFailure, TimeoutError):
            async with asyncio.timeout(_ABORT_SECONDS):
                await self._call("DELETE", (("uploadId", self.id),))

    async def _call(self, method: str, query: Query, headers: Query = (), body: bytes = b"") -> Answer:
        return await self.target.client.call(
            Request(self.target.address, method, self.target.key, query, headers, body), read_all
        )


async def begin_upload(target: Target, digest: str = "") -> Upload:
    """`digest` of the whole goes along as metadata where it is known already."""
    headers = (("x-amz-checksum-algorithm", "SHA256"), *(((DIGEST_METADATA, digest),) if digest else ()))
    answer = await target.client.call(
        Request(target.address, "POST", target.key, (("uploads", ""),), headers), read_all
    )
    return Upload(target, read_text(parse_answer(answer.body, target.address), "UploadId"))


class Uploaded(NamedTuple):
    """`digest` is the base64 SHA-256 of all bytes, however they travelled."""

    stored: Stored
    digest: str
    size: int


def part_size(expected: int) -> int:
    """All parts of an upload are equal, and there may be no more than 10,000: an object has 671 GB at most."""
    return min(max(PART_BYTES, -(-expected // _PARTS)), LARGEST_PART)


async def upload_stream(
    target: Target, pieces: AsyncIterator[bytes], *, expected: int, sent: Callable[[int], None], digest: str = ""
) -> Uploaded:
    """Store what `pieces` yields, `expected` bytes at most: one request for a small object, parts for others.

    `sent` is told the bytes of each request that arrived.
    """
    parts = _Parts(pieces, part_size(expected))
    first = await parts.take()
    if len(first) < parts.size:
        request = Request(target.address, "PUT", target.key, body=first, confirm=target.confirm)
        stored = await put(target.client, request, parts.digest())
        sent(len(first))
        return Uploaded(stored, parts.digest(), len(first))
    upload = await begin_upload(target, digest)
    try:
        rows = await _send_parts(upload, parts, first, sent)
        return Uploaded(await upload.finish(rows), parts.digest(), parts.total)
    except BaseException:
        await upload.abort()
        raise


async def _send_parts(upload: Upload, parts: "_Parts", first: bytes, sent: Callable[[int], None]) -> list[str]:
    rows: dict[int, str] = {}
    turn = asyncio.Lock()
    waiting = [first]
    taken = 0

    async def worker() -> None:
        nonlocal taken
        while True:
            async with turn:
                body = waiting.pop() if waiting else await parts.take()
                taken += 1
                number = taken
            if not body:
                return
            if number > MOST_PARTS:
                raise StorageFailure(
                    f"s3: object {upload.target.key} has more than {MOST_PARTS:,} parts of {show_bytes(parts.size)}",
                    hint="publish it as several files, with encoding plain",
                    component="S3",
                )
            rows[number] = await upload.put_part(number, body)
            sent(len(body))

    await together(*(worker() for _ in range(_IN_FLIGHT)))
    return [rows[number] for number in sorted(rows)]


class _Parts:
    """Cuts a stream into parts of one size and hashes it on the way."""

    def __init__(self, pieces: AsyncIterator[bytes], size: int) -> None:
        self._pieces, self.size, self.total = pieces, size, 0
        self._hash = hashlib.sha256()
        self._rest = bytearray()

    async def take(self) -> bytes:
        """The next part; a short one is the last, an empty one comes after it."""
        while len(self._rest) < self.size:
            piece = await anext(self._pieces, b"")
            if not piece:
                break
            self._rest += piece
        part = bytes(memoryview(self._rest)[: self.size])
        del self._rest[: self.size]
        self.total += len(part)
        await asyncio.to_thread(self._hash.update, part)
        return part

    def digest(self) -> str:
        return b64encode(self._hash.digest()).decode()
