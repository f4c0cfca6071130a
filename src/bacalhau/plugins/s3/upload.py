"""Objects too large for one request, or whose size nobody knows yet: parts in flight side by side, memory bounded."""

import asyncio
import hashlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import NamedTuple
from xml.sax.saxutils import escape

from bacalhau.lib.aio import together
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Effort, Patience
from bacalhau.lib.units import show_bytes
from bacalhau.plugins.s3.bucket import BucketAddress, find_bucket
from bacalhau.plugins.s3.client import Request, S3Client, Troubled, read_all
from bacalhau.plugins.s3.ledger import Begun, Ledger
from bacalhau.plugins.s3.operation import (
    DIGEST_HEADER,
    DIGEST_METADATA,
    Stored,
    call_xml,
    digest_text,
    head,
    put,
    read_text,
    read_version,
)
from bacalhau.plugins.s3.settings import current_settings
from bacalhau.ports.publisher import Confirm, always_allowed

PART_BYTES = 8 << 20
LARGEST_PART = 64 << 20  # bytes; about five of them are in memory at once
MOST_PARTS = 10_000  # that S3 allows
_PARTS = 9000  # of these, which leaves room for a guess that was too small
_IN_FLIGHT = 3
_ABORT_SECONDS = 10
_ABORTING = Patience(seconds=3.0, unheard=3.0)  # a stop waits for it
_PARTS_LOST = ("NoSuchUpload", "InvalidPart")


class Target(NamedTuple):
    """The destination of an object; `confirm` is awaited right before it can be seen there.

    `ledger` records uploads in parts while they are under way. `origin` are headers that say who published it.
    """

    client: S3Client
    address: BucketAddress
    key: str
    ledger: Ledger
    confirm: Confirm = always_allowed
    origin: tuple[tuple[str, str], ...] = ()


class Part(NamedTuple):
    """A stored part; `digest` is its base64 SHA-256."""

    number: int
    etag: str
    digest: str

    def row(self, *, is_kept: bool) -> str:
        """Name the part for `finish`; `is_kept`: the server keeps checksums."""
        checksum = f"<ChecksumSHA256>{self.digest}</ChecksumSHA256>" if is_kept else ""
        return f"<Part><PartNumber>{self.number}</PartNumber><ETag>{escape(self.etag)}</ETag>{checksum}</Part>"


class Upload(NamedTuple):
    """A begun multipart upload."""

    target: Target
    id: str

    async def put_part(self, number: int, body: bytes) -> Part:
        digest = await asyncio.to_thread(digest_text, body)
        query = (("partNumber", str(number)), ("uploadId", self.id))
        target = self.target
        request = Request(target.address, "PUT", target.key, query, ((DIGEST_HEADER, digest),), body)
        answer = await target.client.call(request, read_all)
        return Part(number, answer.headers.get("ETag", ""), digest)

    async def finish(self, parts: list[Part], size: int, digest: str) -> Stored:
        """Put the parts together to an object of `size` bytes with the base64 SHA-256 `digest`.

        The answer may have been lost although the server did it. Then there is no such upload any more, and the object
        itself tells. Raises StorageFailure, `retryable` where the parts are lost and must be sent again.
        """
        is_kept = self.target.client.takes_checksums(self.target.address)
        rows = "".join(part.row(is_kept=is_kept) for part in parts)
        body = (
            f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}</CompleteMultipartUpload>'
        )
        query = (("uploadId", self.id),)
        target = self.target
        request = Request(target.address, "POST", target.key, query, body=body.encode(), confirm=target.confirm)
        try:
            answer = await call_xml(target.client, request, "CompleteMultipartUpload")
        except StorageFailure as e:
            if _code_of(e) not in _PARTS_LOST:
                raise
            found = await self._stored(parts, size, digest)
            if found is None:
                raise StorageFailure(
                    f"s3: the parts of object {target.key} in bucket {target.address.bucket} were lost: {_code_of(e)}",
                    hint="the server or a rule of the bucket removed them",
                    retryable=True,
                    component="S3",
                ) from e
            return found
        return Stored(read_text(answer.root, "ETag"), read_version(answer.headers))

    async def _stored(self, parts: list[Part], size: int, digest: str) -> Stored | None:
        """Look whether the object is there, put together from these parts."""
        try:
            found = await head(self.target.client, self.target.address, self.target.key)
        except StorageFailure as e:
            if isinstance(e.__cause__, Troubled) and e.__cause__.trouble.status == 404:
                return None
            raise
        marks = {found.etag.strip('"'), found.checksum, found.recorded}
        is_ours = found.size == size and not marks.isdisjoint(_marks(parts, digest))
        return Stored(found.etag, found.version) if is_ours else None

    async def abort(self) -> None:
        """Have the server forget the parts. Nothing is raised when it fails: whoever aborts has a better error. The
        upload then stays in the ledger.
        """
        target = self.target
        request = Request(target.address, "DELETE", target.key, (("uploadId", self.id),))
        with suppress(StorageFailure, TimeoutError):
            async with asyncio.timeout(_ABORT_SECONDS):
                try:
                    await target.client.under(Effort(_ABORTING)).call(request, read_all)
                except StorageFailure as e:
                    if _code_of(e) != "NoSuchUpload":
                        raise
                self.cross_out()

    @property
    def _begun(self) -> Begun:
        address = self.target.address
        return Begun(
            bucket=address.bucket,
            region=address.region,
            endpoint=address.endpoint,
            is_paying=address.is_paying,
            key=self.target.key,
            id=self.id,
        )

    def record(self) -> None:
        self.target.ledger.add(self._begun)

    def cross_out(self) -> None:
        self.target.ledger.remove(self._begun)


def _code_of(failure: StorageFailure) -> str:
    """Read what the server called its refusal, "" where it named none."""
    return failure.__cause__.trouble.code if isinstance(failure.__cause__, Troubled) else ""


def _marks(parts: list[Part], digest: str) -> set[str]:
    """The texts by which servers tell what an object was put together from: digests of the whole or of the parts'."""
    marks = {digest, f"{digest_text(b''.join(b64decode(part.digest) for part in parts))}-{len(parts)}"}
    with suppress(ValueError):
        etags = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        marks.add(f"{hashlib.md5(etags, usedforsecurity=False).hexdigest()}-{len(parts)}")
    return marks


async def abort_left(client: S3Client, ledger: Ledger) -> None:
    """Abort the uploads of a ledger that an earlier process, or an attempt that failed, has left."""
    for row in ledger.open:
        settings = await current_settings()
        address = find_bucket(settings, row.bucket, row.region, row.endpoint, is_paying=row.is_paying)
        await Upload(Target(client, address, row.key, ledger), row.id).abort()


async def begin_upload(target: Target, digest: str = "") -> Upload:
    """Begin an upload in parts; `digest` of the whole goes along as metadata where it is known already."""
    known = ((DIGEST_METADATA, digest),) if digest else ()
    headers = (("x-amz-checksum-algorithm", "SHA256"), *target.origin, *known)
    request = Request(target.address, "POST", target.key, (("uploads", ""),), headers)
    answer = await call_xml(target.client, request, "InitiateMultipartUpload")
    upload = Upload(target, read_text(answer.root, "UploadId"))
    upload.record()
    return upload


class Uploaded(NamedTuple):
    """`digest` is the base64 SHA-256 of all bytes, however they travelled."""

    stored: Stored
    digest: str
    size: int


def part_size(expected: int) -> int:
    """All parts of an upload are equal, and there may be no more than 10,000: an object has 671 GB at most."""
    return min(max(PART_BYTES, -(-expected // _PARTS)), LARGEST_PART)


async def put_whole(target: Target, body: bytes, digest: str) -> Stored:
    """Store a small object with one request; `digest` is its base64 SHA-256."""
    request = Request(target.address, "PUT", target.key, headers=target.origin, body=body, confirm=target.confirm)
    return await put(target.client, request, digest)


async def upload_stream(
    target: Target, pieces: AsyncIterator[bytes], *, expected: int, sent: Callable[[int], None], digest: str = ""
) -> Uploaded:
    """Store what `pieces` yields, `expected` bytes at most: one request for a small object, parts for others.

    `sent` is told the bytes of each request that arrived.
    """
    parts = _Parts(pieces, part_size(expected))
    first = await parts.take()
    if len(first) < parts.size:
        stored = await put_whole(target, first, parts.digest())
        sent(len(first))
        return Uploaded(stored, parts.digest(), len(first))
    upload = await begin_upload(target, digest)
    try:
        sent_parts = await _send_parts(upload, parts, first, sent)
        done = await upload.finish(sent_parts, parts.total, parts.digest())
    except BaseException:
        await upload.abort()
        raise
    upload.cross_out()
    return Uploaded(done, parts.digest(), parts.total)


async def _send_parts(upload: Upload, parts: "_Parts", first: bytes, sent: Callable[[int], None]) -> list[Part]:
    rows: dict[int, Part] = {}
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
