"""Brings listed objects to disk, many small ones or ranges of large ones at once, with bounded memory."""

import asyncio
import base64
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp

from bacalhau.border.folding import DistinctNames
from bacalhau.lib.aio import gather_bounded, together
from bacalhau.lib.errors import StorageFailure
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.bulk import STREAMS, Stretch
from bacalhau.plugins.s3.client import Request, S3Client
from bacalhau.plugins.s3.operation import CHECKSUM_MODE, DIGEST_HEADER, DIGEST_METADATA, version_query
from bacalhau.plugins.s3.params import is_composite
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import Entry

SMALL_BYTES = 1 << 20  # read whole into memory: a thread for each would cost more than the write
RANGED_BYTES = 64 << 20
_RANGE_BYTES = 32 << 20
_SMALL_AT_ONCE = 32
_WRITE_BYTES = 1 << 20


T = TypeVar("T")
_Work = Callable[[], Coroutine[Any, Any, T]]


class _RangeIgnored(Exception):
    """The server sent the whole object although a range was asked for."""


class Origin(NamedTuple):
    """The bucket that objects come from, and the stage that progress is reported as."""

    client: S3Client
    address: BucketAddress
    stage: str = "staging"


class _Progress:
    def __init__(self, stage: str, entries: tuple[Entry, ...], report: Report) -> None:
        self._report = report
        self._step = Step(stage, 0, len(entries), 0, sum(max(entry.size, 0) for entry in entries))

    def add(self, objects: int, count: int) -> None:
        self._step = self._step._replace(done=self._step.done + objects, bytes_done=self._step.bytes_done + count)
        self._report(self._step)


async def fetch_entries(origin: Origin, entries: tuple[Entry, ...], into: Path, report: Report) -> None:
    """Write every entry to its path below `into`. Raises StorageFailure; what is complete by then stays."""
    scratch = into / f".part-{uuid.uuid4().hex}"
    try:
        await asyncio.to_thread(_make_folders, into, scratch, entries)
        work = _Fetch(origin, into, scratch, _Progress(origin.stage, entries, report))
        small: list[_Work[None]] = [
            partial(work.small, entry, i) for i, entry in enumerate(entries) if 0 <= entry.size <= SMALL_BYTES
        ]
        large: list[_Work[None]] = [
            partial(work.large, entry, i) for i, entry in enumerate(entries) if not 0 <= entry.size <= SMALL_BYTES
        ]
        await together(gather_bounded(_SMALL_AT_ONCE, small), gather_bounded(STREAMS, large))
    except OSError as e:
        raise disk_failure(e, into) from e
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _make_folders(into: Path, scratch: Path, entries: tuple[Entry, ...]) -> None:
    scratch.mkdir(parents=True)
    names = DistinctNames(into)
    for entry in entries:
        names.add(entry.path)
    for folder in sorted({os.path.dirname(entry.path) for entry in entries}):
        (into / folder).mkdir(parents=True, exist_ok=True)


def disk_failure(error: OSError, into: Path) -> StorageFailure:
    """Make the error of a disk of this node that did not take the bytes."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailure(
            f"no space left on {into}",
            hint="free disk space on the node, or ask for more disk in the job's resources",
            component="S3",
        )
    return StorageFailure(
        f"cannot write {error.filename or into}: {error.strerror or error}",
        hint="check the node's data directory",
        component="S3",
    )


class _Fetch:
    def __init__(self, origin: Origin, into: Path, scratch: Path, progress: _Progress) -> None:
        self._origin, self._into, self._scratch, self._progress = origin, into, scratch, progress
        self._streams = asyncio.Semaphore(STREAMS)

    def _request(self, entry: Entry, headers: tuple[tuple[str, str], ...]) -> Request:
        pin = (("If-Match", entry.etag),) if entry.etag else ()
        return Request(self._origin.address, "GET", entry.key, version_query(entry.version), (*pin, *headers))

    async def _within(self, entry: Entry, length: int, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body of an object or a part of it, of which the server has said the length (-1: it has not)."""
        got = 0
        async for chunk in body:
            got += len(chunk)
            if 0 <= length < got:
                raise StorageFailure(
                    f"s3: object {entry.key} in bucket {self._origin.address.bucket} is longer than the"
                    f" {length} bytes that were announced",
                    hint="the server is broken or lies",
                    component="S3",
                )
            yield chunk

    async def small(self, entry: Entry, index: int) -> None:
        async def keep(response: aiohttp.ClientResponse) -> None:
            body = b"".join([chunk async for chunk in self._within(entry, entry.size, response.content.iter_any())])
            _check_length(entry.size, len(body))
            expected = expected_digest(entry, response)
            if expected:
                compare_digest(self._origin.address, entry, expected, hashlib.sha256(body).digest())
            _write_small(str(self._scratch / str(index)), str(self._into / entry.path), body)

        await self._origin.client.call(self._request(entry, (CHECKSUM_MODE,)), keep)
        self._progress.add(1, entry.size)

    async def large(self, entry: Entry, index: int) -> None:
        path = self._scratch / str(index)
        await asyncio.to_thread(path.touch, 0o644)
        expected = await self._pieces(entry, path)
        if expected:
            compare_digest(self._origin.address, entry, expected, await asyncio.to_thread(hash_file, path))
        await asyncio.to_thread(os.rename, path, self._into / entry.path)
        self._progress.add(1, 0)

    async def _pieces(self, entry: Entry, path: Path) -> str:
        """Fetch an object in pieces; return the digest its content must have, "" where none is known."""
        if entry.size > RANGED_BYTES:
            starts = range(0, entry.size, _RANGE_BYTES)
            pieces: list[_Work[None]] = [
                partial(self._stretch, entry, path, start, min(start + _RANGE_BYTES, entry.size)) for start in starts
            ]
            try:
                await gather_bounded(STREAMS, pieces)
                return "" if is_composite(entry.checksum) else entry.checksum
            except _RangeIgnored:
                pass
        return await self._piece(entry, path, 0, entry.size)

    async def _stretch(self, entry: Entry, path: Path, start: int, end: int) -> None:
        client = self._origin.client
        async with self._streams:
            signed = await client.signed(self._request(entry, _range(start, end)))
            if signed:
                stretch = Stretch(*signed, path, start, end, client.reach_of(self._origin.address))
                if await client.bulk.receive(stretch, partial(self._progress.add, 0)):
                    return
        await self._piece(entry, path, start, end)

    async def _piece(self, entry: Entry, path: Path, start: int, end: int) -> str:
        """The bytes [start, end); an object of unknown size has end -1."""
        is_part = end - start != entry.size

        async def keep(response: aiohttp.ClientResponse) -> str:
            if is_part and response.status != 206 and response.content_length != end - start:
                raise _RangeIgnored
            got = 0
            try:
                async for block in blocks(self._within(entry, end - start, response.content.iter_any())):
                    await asyncio.to_thread(write_at, descriptor, block, start + got)
                    got += sum(map(len, block))
                    self._progress.add(0, sum(map(len, block)))
                _check_length(end - start, got)
            except BaseException:
                self._progress.add(0, -got)
                raise
            return expected_digest(entry, response)

        headers = _range(start, end) if is_part else (CHECKSUM_MODE,)
        descriptor = await asyncio.to_thread(os.open, path, os.O_WRONLY)
        try:
            async with self._streams:
                return await self._origin.client.call(self._request(entry, headers), keep)
        finally:
            os.close(descriptor)


def _range(start: int, end: int) -> tuple[tuple[str, str], ...]:
    return (("Range", f"bytes={start}-{end - 1}"),)


async def blocks(body: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The body in lists of chunks that are together worth a thread."""
    held: list[bytes] = []
    size = 0
    async for chunk in body:
        held.append(chunk)
        size += len(chunk)
        if size >= _WRITE_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _check_length(expected: int, got: int) -> None:
    if 0 <= expected != got:
        raise aiohttp.ClientPayloadError(f"{got} bytes arrived instead of {expected}")


def _write_small(scratch: str, path: str, body: bytes) -> None:
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        while body:
            body = body[os.write(descriptor, body) :]
    finally:
        os.close(descriptor)
    os.rename(scratch, path)


def write_at(descriptor: int, chunks: list[bytes], offset: int) -> None:
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written


def hash_file(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").digest()


def expected_digest(entry: Entry, response: aiohttp.ClientResponse) -> str:
    """base64 SHA-256 the whole object must have: as asked for, else as the server kept it.

    Composites say nothing about bytes.
    """
    known = (entry.checksum, response.headers.get(DIGEST_HEADER, ""), response.headers.get(DIGEST_METADATA, ""))
    return next((text for text in known if text and not is_composite(text)), "")


def compare_digest(address: BucketAddress, entry: Entry, expected: str, digest: bytes) -> None:
    found = base64.b64encode(digest).decode()
    if found != expected:
        said = f"checksum mismatch for s3://{address.bucket}/{entry.key}, expected {expected}, got {found}"
        raise StorageFailure(
            said, hint="the object is not the one that was asked for, or it was damaged on the way", component="S3"
        )
