"""Brings a published result to the client: by the orchestrator's signed link, by the client's own credentials, or as
anybody.
"""

import asyncio
import base64
import logging
import os
from collections.abc import Mapping
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path

from bacalhau.border.archive import unpack_async
from bacalhau.border.connect import reach_beside, read_chunks
from bacalhau.border.exchange import Incoming
from bacalhau.border.names import shorten
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.hashing import digest_file, hash_file
from bacalhau.lib.patience import DOWNLOAD, Effort, Patience
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.objects.digest import full_checksum, is_composite
from bacalhau.plugins.objects.disk import disk_failure
from bacalhau.plugins.objects.keys import pick_below
from bacalhau.plugins.s3.client import Request, S3Client
from bacalhau.plugins.s3.fetch import (
    RANGED_BYTES,
    Origin,
    blocks,
    compare_digest,
    fetch_entries,
    strong_etag,
    write_at,
)
from bacalhau.plugins.s3.linked import Links, LinkSigner, linked_address, list_by_links
from bacalhau.plugins.s3.operation import (
    DIGEST_HEADER,
    DIGEST_METADATA,
    EXECUTION_METADATA,
    JOB_METADATA,
    head,
    version_query,
)
from bacalhau.plugins.s3.params import (
    LinkedParams,
    PreSignedParams,
    S3SourceParams,
    is_archive,
)
from bacalhau.plugins.s3.source import bucket_of, resolve_entries
from bacalhau.ports.plugin import ResultServer
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import Entry

log = logging.getLogger(__name__)

_HEADS_AT_ONCE = 16
_OWN_KEY = "what was published is gone; next time give each execution a key of its own, with {executionID}"


class S3Downloader:
    """A Downloader for the types `s3` and `s3PreSigned`; its connections live as long as a download.

    `server` is the URL of the client's API, beside which an S3 server may be on the client's own machine. `api` is
    asked for links to the objects of plain results; without it they are fetched by the client's own credentials alone.
    """

    def __init__(self, server: str, patience: Patience = DOWNLOAD, api: ResultServer | None = None) -> None:
        self._server, self._patience, self._api = server, patience, api

    async def download(self, result: SpecConfig, into: Path, report: Report, only: str = "") -> None:
        if result.is_type("s3presigned"):
            given = require_params(result, PreSignedParams)
            source, link = given.source_spec, given.pre_signed_url
        else:
            source, link = require_params(result, S3SourceParams), ""
        async with aclosing(S3Client(await reach_beside(self._server), self._patience)) as client:
            if link or is_archive(source.key):
                await _Archive(client, source, self._patience, report).bring(link, into, only)
            else:
                asked = require_params(result, LinkedParams)
                signer = LinkSigner(self._api, asked) if self._api and asked.execution_id else None
                await _Plain(client, source, self._patience, report).bring(signer, into, only)


class _Plain:
    """Objects as they are, each under its name."""

    def __init__(self, client: S3Client, source: S3SourceParams, patience: Patience, report: Report) -> None:
        self._client, self._source, self._patience, self._report = client, source, patience, report

    async def bring(self, signer: LinkSigner | None, into: Path, only: str) -> None:
        """Bring the result by the links of `signer`, and by the client's own credentials where that does not work."""
        if signer:
            try:
                return await self._bring_by_links(signer, into, only)
            except StorageFailure as failure:
                with suppress(StorageFailure):
                    return await self._bring_as_own(into, only)
                raise failure
        await self._bring_as_own(into, only)

    async def _bring_by_links(self, signer: LinkSigner, into: Path, only: str) -> None:
        entries = pick_below(await list_by_links(self._client, self._source, signer), only)
        origin = Origin(self._client, linked_address(self._source), "downloading", self._patience)
        await fetch_entries(origin._replace(link=Links(signer, entries).find), entries, into, self._report)

    async def _bring_as_own(self, into: Path, only: str) -> None:
        entries = pick_below(await resolve_entries(self._client, self._source), only)
        address = await bucket_of(self._source)

        async def pin(entry: Entry, there: bool) -> Entry | None:
            """Add the digest of an entry; return None when the file is here already."""
            found = await head(self._client, address, entry.key)
            digest = next((text for text in (found.checksum, found.recorded) if text and not is_composite(text)), "")
            if there and digest and await asyncio.to_thread(digest_file, into / entry.path) == digest:
                return None
            return entry._replace(checksum=digest)

        here = await asyncio.to_thread(_list_present, into, entries)
        # Large objects come in ranges, whose answers carry no digest of the whole.
        doubtful = [entry for entry in entries if entry.path in here or entry.size > RANGED_BYTES]
        work = [partial(pin, entry, entry.path in here) for entry in doubtful]
        pinned = dict(zip(doubtful, await gather_bounded(_HEADS_AT_ONCE, list(work)), strict=True))
        wanted = (pinned.get(entry, entry) for entry in entries)
        await fetch_entries(
            Origin(self._client, address, "downloading", self._patience),
            tuple(entry for entry in wanted if entry),
            into,
            self._report,
        )


class _Archive:
    """One archive: received beside its contents, under a name that a later attempt finds again, verified, unpacked."""

    def __init__(self, client: S3Client, source: S3SourceParams, patience: Patience, report: Report) -> None:
        self._client, self._source, self._patience, self._report = client, source, patience, report
        checksum = full_checksum(source.checksum_sha256) if source.checksum_sha256 else ""
        self._digest = "" if is_composite(checksum) else checksum
        self._address = linked_address(source)
        self._entry = Entry(source.key, "", -1, checksum=self._digest)
        self._headers: Mapping[str, str] = {}

    async def bring(self, link: str, into: Path, only: str) -> None:
        part = into / f".{base64.b64decode(self._digest).hex()[:16] or 'archive'}.part"
        try:
            await asyncio.to_thread(into.mkdir, parents=True, exist_ok=True)
            await self._receive_somehow(link, part)
            left_out = await unpack_async(part, into, only)
            await asyncio.to_thread(part.unlink)
        except OSError as e:
            raise disk_failure(e, into, "S3") from e
        for name in left_out:
            log.warning("symlink %s of the result was left out: it points outside of it", name)

    async def _receive_somehow(self, link: str, part: Path) -> None:
        request = Request(self._address, "GET", self._source.key, version_query(self._source.version_id))
        if link:
            try:
                return await self._receive(request._replace(url=link), part)
            except StorageFailure as failure:
                if not self._source.bucket:
                    raise
                with suppress(StorageFailure):
                    return await self._receive_as_own(request, part)
                raise failure
        await self._receive_as_own(request, part)

    async def _receive_as_own(self, request: Request, part: Path) -> None:
        await self._receive(request._replace(address=await bucket_of(self._source)), part)

    async def _receive(self, request: Request, part: Path) -> None:
        """Receive an archive. What is there already is kept when the whole then has the right digest; else it starts
        again.
        """
        held = await asyncio.to_thread(_size, part) if self._digest else 0
        if held:
            try:
                return await self._continue(request, part, held)
            except StorageFailure as e:
                log.info("%s cannot be continued: %s", part, e.message)
        await self._continue(request, part, 0)

    async def _continue(self, request: Request, part: Path, start: int) -> None:
        if start and await asyncio.to_thread(digest_file, part) == self._digest:
            return
        descriptor = await asyncio.to_thread(os.open, part, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            await self._fill(request, descriptor, start)
        finally:
            os.close(descriptor)
        if self._digest:
            self._compare(await asyncio.to_thread(hash_file, part))

    def _compare(self, digest: bytes) -> None:
        """Compare the digest of what came with that of what was published. Raises StorageFailure that says who wrote
        over it, or when it was changed.
        """
        try:
            compare_digest(self._address, self._entry, self._digest, digest)
        except StorageFailure as e:
            found = base64.b64encode(digest).decode()
            if cause := _explain_change(self._headers, found):
                raise StorageFailure(f"{e.message}: {cause}", hint=_OWN_KEY, component="S3") from e
            raise

    async def _fill(self, request: Request, descriptor: int, start: int) -> None:
        """Receive the rest of an archive; what breaks off is gone on with from there while it is the same object."""
        at, total, pin, furthest = start, 0, "", start

        async def attempt() -> None:
            ranged = (("Range", f"bytes={at}-"), *((("If-Match", pin),) if pin else ())) if at else ()
            await client.once(request._replace(headers=ranged), keep)

        async def keep(response: Incoming) -> None:
            nonlocal at, total, pin, furthest
            self._headers = response.headers
            at = at if response.status == 206 else 0
            os.ftruncate(descriptor, at)
            total, pin = at + (response.content_length or 0), strong_etag(response)
            async for block in blocks(read_chunks(response.content)):
                await asyncio.to_thread(write_at, descriptor, block, at)
                at += sum(map(len, block))
                if at > furthest:  # what comes once more is no progress
                    furthest = at
                    effort.advance()
                self._report(Step("downloading", 0, 1, at, total))

        def wait(note: str) -> None:
            self._report(Step("downloading", 0, 1, at, total, note))

        effort = Effort(self._patience, wait)
        client = self._client.under(effort)
        await client.persist(attempt, lambda: at)
        self._report(Step("downloading", 1, 1, at, at))


def _explain_change(headers: Mapping[str, str], found: str) -> str:
    """Say who wrote an object that is not what was published, by its headers; "" where they say that what came is not
    what stands there.
    """
    written = headers.get(DIGEST_METADATA, "") or headers.get(DIGEST_HEADER, "")
    if written and not is_composite(written) and written != found:
        return ""
    when = shorten(headers.get("Last-Modified", "")) or "a time that the server does not tell"
    execution, job = shorten(headers.get(EXECUTION_METADATA, "")), shorten(headers.get(JOB_METADATA, ""))
    if execution:
        return f"overwritten by execution {execution} of job {job}, at {when}"
    return f"changed after it was published, at {when}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _list_present(folder: Path, entries: tuple[Entry, ...]) -> set[str]:
    """List the paths at which there is a file of the right size already."""
    found = ((entry, folder / entry.path) for entry in entries)
    return {entry.path for entry, path in found if path.is_file() and path.stat().st_size == entry.size}


def make_downloader(server: ResultServer) -> S3Downloader:
    return S3Downloader(server.url, DOWNLOAD._replace(seconds=server.config.patience), server)
