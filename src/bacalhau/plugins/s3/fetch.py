"""Brings listed objects to disk, many small ones or ranges of large ones at once, with bounded memory."""

import asyncio
import base64
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp

from bacalhau.border.connect import read_chunks
from bacalhau.border.exchange import Incoming
from bacalhau.border.folding import DistinctNames
from bacalhau.lib.aio import gather_bounded, together
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.hashing import hash_stretch
from bacalhau.lib.patience import USUAL, Effort, Fault, Passing, Patience
from bacalhau.plugins.objects.digest import is_composite
from bacalhau.plugins.objects.disk import disk_failure
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.bulk import STREAMS, Stretch
from bacalhau.plugins.s3.client import Request, S3Client
from bacalhau.plugins.s3.failure import ANEW, AbsentObject, AccessRefused, ChangedObject
from bacalhau.plugins.s3.operation import CHECKSUM_MODE, DIGEST_HEADER, DIGEST_METADATA, head, version_query
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import Entry, Record, record_nothing

SMALL_BYTES = 1 << 20  # read whole into memory: a thread for each would cost more than the write
RANGED_BYTES = 64 << 20
_RANGE_BYTES = 32 << 20
_SMALL_AT_ONCE = 32
_WRITE_BYTES = 1 << 20
T = TypeVar("T")
_FIRST_BYTE = re.compile(r"bytes (\d{1,18})-")


class _RangeIgnored(Exception):
    """The server sent the whole object although a range was asked for."""


class Origin(NamedTuple):
    """The bucket that objects come from, the stage that progress is reported as, and how long to go on without any.

    `link` finds the signed address of a key; without it objects are asked for with the client's own credentials.
    `record` is told of each object that has come.
    """

    client: S3Client
    address: BucketAddress
    stage: str = "staging"
    patience: Patience = USUAL
    link: Callable[[str], Awaitable[str]] | None = None
    record: Record = record_nothing


class _Progress:
    """The step that is reported. Bytes that came count as progress when there were never as many."""

    def __init__(self, origin: Origin, objects: int, size: int, report: Report) -> None:
        self._report = report
        self._step = Step(origin.stage, 0, objects, 0, size)
        self._most = 0
        self.effort = Effort(origin.patience, self._wait, heard=True)

    def add(self, objects: int, count: int) -> None:
        self._step = self._step._replace(
            done=self._step.done + objects, bytes_done=self._step.bytes_done + count, note=""
        )
        if self._step.bytes_done > self._most:
            self._most = self._step.bytes_done
            self.effort.advance()
        self._report(self._step)

    def _wait(self, note: str) -> None:
        self._report(self._step._replace(note=note))


class Span:
    """The bytes [start, end) of an object on their way to this machine; `at` is up to where they are here.

    An object of unknown size has end -1. What breaks off is gone on with from there, as long as the server shows by
    its ETag that it is the same object; `pin` is the manifest's, else that of the first answer. `expected` is the
    digest that the whole object must have, "" where none is known. `hash` is that of the bytes up to `at` while
    they come in one piece.
    """

    def __init__(self, entry: Entry, start: int, end: int) -> None:
        self.entry, self.start, self.end = entry, start, end
        self.at, self.pin, self.hash = start, entry.etag, hashlib.sha256()
        self.expected = "" if is_composite(entry.checksum) else entry.checksum

    @property
    def is_part(self) -> bool:
        return self.end - self.start != self.entry.size

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Make the headers of the next request."""
        pin = (("If-Match", self.pin),) if self.pin else ()
        if self.is_part:
            return (*pin, ("Range", f"bytes={self.at}-{self.end - 1}"))
        if self.at and self.pin:
            return (*pin, CHECKSUM_MODE, ("Range", f"bytes={self.at}-"))
        return (*pin, CHECKSUM_MODE)

    def begin(self, response: Incoming) -> int:
        """Take note of an answer; return how many bytes it will bring again.

        Some servers answer a range with status 200. Raises _RangeIgnored when a part was asked for and all comes.
        """
        left = self.end - self.at
        if response.status == 206 or (response.content_length == left and left != self.entry.size):
            self._require_place(response.headers.get("Content-Range", ""))
            return 0
        if self.is_part:
            raise _RangeIgnored
        again, self.at, self.hash = self.at - self.start, self.start, hashlib.sha256()
        self.pin = self.pin or strong_etag(response)
        self.expected = expected_digest(self.entry, response)
        return again

    def _require_place(self, said: str) -> None:
        found = _FIRST_BYTE.match(said)
        if found and int(found[1]) != self.at:
            raise StorageFailure(
                f"s3: object {self.entry.key}: asked for the bytes from {self.at} on, and got {said}",
                hint="the server is broken or lies",
                component="S3",
            )


async def fetch_entries(origin: Origin, entries: tuple[Entry, ...], into: Path, report: Report) -> None:
    """Write every entry to its path below `into`. Raises StorageFailure; what is complete by then stays."""
    scratch = into / f".part-{uuid.uuid4().hex}"
    try:
        order = await asyncio.to_thread(_prepare, into, scratch, entries)
        work = _Fetch(origin, into, scratch, _Progress(origin, len(entries), order.size, report))
        await together(_each(_SMALL_AT_ONCE, work.small, order.small), _each(STREAMS, work.large, order.large))
    except OSError as e:
        raise disk_failure(e, into, "S3") from e
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


class _Order(NamedTuple):
    """Small and large objects with their numbers, and the bytes of all."""

    small: list[tuple[Entry, int]]
    large: list[tuple[Entry, int]]
    size: int


async def _each(limit: int, work: Callable[[Entry, int], Awaitable[None]], items: list[tuple[Entry, int]]) -> None:
    """Do the work for all objects, so many at once."""
    queue = iter(items)

    async def worker() -> None:
        for entry, number in queue:
            await work(entry, number)

    await together(*(worker() for _ in range(min(limit, len(items)))))


def _prepare(into: Path, scratch: Path, entries: tuple[Entry, ...]) -> _Order:
    """Make the folders of objects, and say what to fetch how. Blocks: for threads, because there may be a million."""
    _make_folders(into, scratch, entries)
    small, large = list[tuple[Entry, int]](), list[tuple[Entry, int]]()
    for number, entry in enumerate(entries):
        (small if 0 <= entry.size <= SMALL_BYTES else large).append((entry, number))
    return _Order(small, large, sum(max(entry.size, 0) for entry in entries))


def _make_folders(into: Path, scratch: Path, entries: tuple[Entry, ...]) -> None:
    scratch.mkdir(parents=True)
    names = DistinctNames(into)
    for entry in entries:
        names.add(entry.path)
    for folder in sorted({os.path.dirname(entry.path) for entry in entries}):
        (into / folder).mkdir(parents=True, exist_ok=True)


class _Body(NamedTuple):
    """A small object in memory; `expected` is its digest, "" where none is known."""

    entry: Entry
    number: int
    body: bytes
    expected: str


class _Fetch:
    def __init__(self, origin: Origin, into: Path, scratch: Path, progress: _Progress) -> None:
        self._address, self._into, self._scratch, self._progress = origin.address, into, scratch, progress
        self._client, self._link = origin.client.under(progress.effort), origin.link
        self._record, self._is_recorded = origin.record, origin.record is not record_nothing
        self._streams = asyncio.Semaphore(STREAMS)
        self._held: list[_Body] = []
        self._turn = asyncio.Lock()

    async def _request(self, span: Span) -> Request:
        entry = span.entry
        request = Request(self._address, "GET", entry.key, version_query(entry.version), span.headers())
        if self._link is None:
            return request
        # A header of S3's own that is not in the signature of a link is refused.
        plain = tuple(header for header in request.headers if not header[0].startswith("x-amz-"))
        return request._replace(url=await self._link(entry.key), headers=plain)

    async def _get(self, span: Span, keep: Callable[[Incoming], Coroutine[Any, Any, None]]) -> None:
        """Ask for what is missing of a span, over breaks of the connection, until `keep` has taken all of it."""

        async def attempt() -> None:
            await self._client.once(await self._request(span), keep)

        try:
            await self._client.persist(attempt if self._link is None else renewing(attempt), lambda: span.at)
        except (AbsentObject, ChangedObject) as e:
            raise await self._tell_change(span.entry) or e from e

    async def _tell_change(self, entry: Entry) -> StorageFailure | None:
        """Say what was listed of an object that is another one now, or gone, and what is there."""
        if self._link is not None or not entry.etag:
            return None
        thing = f"s3: object {entry.key} in bucket {self._address.bucket}"
        try:
            found = await head(self._client, self._address, entry.key)
        except AbsentObject:
            return StorageFailure(f"{thing} is gone: {entry.etag} was listed", hint=ANEW, component="S3")
        except StorageFailure:
            return None
        said = f"{thing} changed after it was listed: {entry.etag} was listed, {found.etag} is there"
        return StorageFailure(said, hint=ANEW, component="S3")

    async def _within(self, span: Span, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body of an object or a part of it, of which the server has said the length (-1: it has not)."""
        got = span.at
        async for chunk in body:
            got += len(chunk)
            if 0 <= span.end < got:
                raise StorageFailure(
                    f"s3: object {span.entry.key} in bucket {self._address.bucket} is longer than the"
                    f" {span.end - span.start} bytes that were announced",
                    hint="the server is broken or lies",
                    component="S3",
                )
            yield chunk

    async def small(self, entry: Entry, index: int) -> None:
        span, held = Span(entry, 0, entry.size), list[bytes]()

        async def keep(response: Incoming) -> None:
            if span.begin(response):
                held.clear()
            async for chunk in self._within(span, read_chunks(response.content)):
                held.append(chunk)
                span.at += len(chunk)
            _check_length(span)

        await self._get(span, keep)
        await self._keep(_Body(entry, index, b"".join(held), span.expected))

    async def _keep(self, body: "_Body") -> None:
        """Check and write an object. Those that come while others are being written go together, with one trip to a
        thread.
        """
        self._held.append(body)
        async with self._turn:
            if self._held:
                held, self._held = self._held, []
                await asyncio.to_thread(self._write_bodies, held)
                self._progress.add(len(held), sum(each.entry.size for each in held))

    def _write_bodies(self, bodies: "list[_Body]") -> None:
        for entry, number, body, expected in bodies:
            digest = hashlib.sha256(body).digest() if expected or self._is_recorded else b""
            if expected:
                compare_digest(self._address, entry, expected, digest)
            _write_small(f"{self._scratch}/{number}", f"{self._into}/{entry.path}", body)
            self._record(entry.path, len(body), digest)

    async def large(self, entry: Entry, index: int) -> None:
        path = self._scratch / str(index)
        await asyncio.to_thread(path.touch, 0o644)
        came = await self._pieces(entry, path)
        if came.expected:
            compare_digest(self._address, entry, came.expected, came.hash.digest())
        await asyncio.to_thread(os.rename, path, self._into / entry.path)
        self._record(entry.path, came.at, came.hash.digest())
        self._progress.add(1, 0)

    async def _pieces(self, entry: Entry, path: Path) -> Span:
        """Fetch an object, a large one in pieces side by side; return all of it as it came."""
        whole = Span(entry, 0, entry.size)
        if entry.size > RANGED_BYTES:
            starts = range(0, entry.size, _RANGE_BYTES)
            spans = [Span(entry, start, min(start + _RANGE_BYTES, entry.size)) for start in starts]
            try:
                await self._stretches(spans, path, whole)
                return whole
            except _RangeIgnored:
                self._progress.add(0, -sum(span.at - span.start for span in spans))
        async with self._streams:
            await self._piece(whole, path)
        return whole

    async def _stretches(self, spans: list[Span], path: Path, whole: Span) -> None:
        """Fetch the parts of an object side by side. Each is hashed, in their order, as soon as it and those before it
        are here: the system still has it in memory then.
        """
        made, came = hashlib.sha256(), [asyncio.Event() for _ in spans]

        async def fetch(span: Span, has_come: asyncio.Event) -> None:
            await self._stretch(span, path)
            has_come.set()

        async def hash_in_order() -> None:
            for span, has_come in zip(spans, came, strict=True):
                await has_come.wait()
                await asyncio.to_thread(hash_stretch, made, path, span.start, span.end)

        fetches = [partial(fetch, *each) for each in zip(spans, came, strict=True)]
        hashing = [hash_in_order()] if self._needs_hash(whole) else []
        await together(gather_bounded(STREAMS, list(fetches)), *hashing)
        whole.at, whole.hash = whole.end, made

    def _needs_hash(self, whole: Span) -> bool:
        return self._is_recorded or bool(whole.expected)

    async def _stretch(self, span: Span, path: Path) -> None:
        async with self._streams:
            signed = await self._client.signed(await self._request(span))
            if signed:
                stretch = Stretch(*signed, path, span.start, span.end, self._client.reach_of(self._address))
                span.at = await self._client.bulk.receive(stretch, partial(self._progress.add, 0))
            if span.at < span.end:
                await self._piece(span, path)

    async def _piece(self, span: Span, path: Path) -> None:
        async def keep(response: Incoming) -> None:
            if again := span.begin(response):
                self._progress.add(0, -again)
            async for block in blocks(self._within(span, read_chunks(response.content))):
                await asyncio.to_thread(self._take, span, descriptor, block)
                span.at += sum(map(len, block))
                self._progress.add(0, sum(map(len, block)))
            _check_length(span)

        descriptor = await asyncio.to_thread(os.open, path, os.O_WRONLY)
        try:
            await self._get(span, keep)
        finally:
            os.close(descriptor)

    def _take(self, span: Span, descriptor: int, block: list[bytes]) -> None:
        write_at(descriptor, block, span.at)
        if not span.is_part and self._needs_hash(span):
            for chunk in block:
                span.hash.update(chunk)


def renewing(attempt: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """Make of an attempt by a signed link one whose first refusal may pass: the link may have run out on its way."""
    refused = False

    async def attempt_again() -> T:
        nonlocal refused
        try:
            return await attempt()
        except AccessRefused as e:
            if refused:
                raise
            refused = True
            raise Passing(e.message, hint=e.hint, component="S3").because(Fault("the link is refused")) from e

    return attempt_again


async def blocks(body: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The body in lists of chunks that are together worth a thread, also those that came before it broke off."""
    held: list[bytes] = []
    size = 0
    try:
        async for chunk in body:
            held.append(chunk)
            size += len(chunk)
            if size >= _WRITE_BYTES:
                full, held, size = held, [], 0
                yield full
    except (aiohttp.ClientError, TimeoutError):
        if held:
            yield held
        raise
    if held:
        yield held


def _check_length(span: Span) -> None:
    if 0 <= span.end != span.at:
        raise aiohttp.ClientPayloadError(f"{span.at} bytes arrived instead of {span.end}")


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


def strong_etag(response: Incoming) -> str:
    """Read the ETag if equal ones mean equal bytes, else ""."""
    etag = response.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def expected_digest(entry: Entry, response: Incoming) -> str:
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
