"""Files on the web as inputs: found out about with as few bytes as the server allows, then streamed to disk, resumed
where they broke off.
"""

import asyncio
import errno
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from bacalhau.border.addresses import EVERYWHERE, Reach
from bacalhau.border.connect import read_chunks
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import USUAL, Effort, Passing, Patience
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.url.client import UrlClient
from bacalhau.plugins.url.headers import (
    file_name,
    full_size,
    range_start,
    strong_date,
    strong_etag,
    version_mark,
)
from bacalhau.plugins.url.params import UrlParams, is_file, read_url
from bacalhau.ports.plugin import Setting, source_patience
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import WHOLE, Content, Entry, Manifest, OtherContent, Partition, Volume

_WRITE_BYTES = 1 << 20


class UrlSource:
    """A Storage; open with `async with`. What breaks off is gone on with while `patience` lasts.

    `reach` says which addresses may be connected to.
    """

    def __init__(self, patience: Patience = USUAL, reach: Reach = EVERYWHERE) -> None:
        self._patience = patience
        self._client = UrlClient(reach, patience.silence)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def check(self) -> None:
        return None

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """One entry, `key` being the URL; its size is -1 where the server does not tell."""
        url = read_url(source)
        return Manifest(source, (await Effort(self._patience).persist(partial(self._look, url)),))

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        """The volume is a folder with the file in it, or the file where the parameters say so.

        The server's present version must have the manifest's ETag, if that has one.
        """
        entry = manifest.entries[0]
        _tell(manifest, entry, await self._download(entry, into, report))
        return _volume(manifest, into)

    async def fetch_rest(self, manifest: Manifest, missing: tuple[Entry, ...], into: Path, report: Report) -> Volume:
        """Bring a file as `fetch` does. Raises OtherContent where it has another date by now than was found out."""
        for entry in missing:
            download = await self._download(entry, into, report)
            if entry.version and download.date != entry.version:
                raise OtherContent(f"URL {without_credentials(entry.key)} changed while it was read", retryable=True)
            _tell(manifest, entry, download)
        if not missing:
            report(Step("staging", 1, 1, manifest.size, manifest.size))
        return _volume(manifest, into)

    def wants_copy(self, source: SpecConfig) -> bool:
        return require_params(source, UrlParams).writable

    async def name_place(self, source: SpecConfig) -> str:
        return _shown(read_url(source))

    async def name_contents(self, manifest: Manifest) -> list[Content]:
        """Name files by URL and validator; one without ETag and Last-Modified has no identity."""
        return [
            Content(
                _shown(entry.key),
                "\0".join(("url", entry.key, entry.etag, entry.version, str(entry.size)))
                if entry.etag or entry.version
                else "",
            )
            for entry in manifest.entries
        ]

    async def _download(self, entry: Entry, into: Path, report: Report) -> "_Download":
        """Bring a file to its place below `into`."""
        part = into / ".download"
        try:
            with part.open("wb", buffering=0) as file:
                download = _Download(self._client, entry, file, report)
                effort = Effort(self._patience, download.wait, heard=True)
                await effort.persist(download.attempt, lambda: download.reached)
            part.chmod(0o644)
            part.rename(into / entry.path)
        except OSError as e:
            raise _disk_failure(e, entry.key, into) from e
        report(Step("staging", 1, 1, download.reached, max(entry.size, download.reached)))
        return download

    async def _look(self, url: str) -> Entry:
        """HEAD; where that is refused or says no size, the answer to a GET of one byte."""
        found: Entry | None = None
        with suppress(StorageFailure):
            async with self._client.open("HEAD", url, {}) as response:
                found = _entry(url, response)
        if found is not None and found.size >= 0:
            return found
        async with self._client.open("GET", url, {"Range": "bytes=0-0"}, also=(416,)) as response:
            return _entry(url, response)


def _volume(manifest: Manifest, into: Path) -> Volume:
    return Volume(into / manifest.entries[0].path if is_file(manifest.source) else into)


def _tell(manifest: Manifest, entry: Entry, download: "_Download") -> None:
    """Tell the record of a manifest what came."""
    manifest.record(entry.path, download.reached, download.hash.digest())


def _shown(url: str) -> str:
    """Return a URL without what may be a secret of it: credentials and query."""
    return without_credentials(url).partition("?")[0].partition("#")[0]


def _entry(url: str, response: aiohttp.ClientResponse) -> Entry:
    """Content-Disposition counts after a redirect only: without one, the name in the URL is what the job's
    author saw.
    """
    disposition = response.headers.get("Content-Disposition", "") if response.history else ""
    name = file_name(str(response.url), disposition)
    etag, date = strong_etag(response.headers), strong_date(response.headers)
    return Entry(url, name, full_size(response.status, response.headers), etag, "" if etag else date)


class _Download:
    """One file's way to `file`: `reached` bytes are there, and in `hash`, of the version that `_mark` names, changed on
    `date`.
    """

    def __init__(self, client: UrlClient, entry: Entry, file: RawIOBase, report: Report) -> None:
        self._client, self._entry, self._file, self._report = client, entry, file, report
        self._mark = self.date = ""
        self.reached, self.hash = 0, hashlib.sha256()

    async def attempt(self) -> None:
        resume = {"Range": f"bytes={self.reached}-", "If-Range": self._mark} if self.reached and self._mark else {}
        async with self._client.open("GET", self._entry.key, resume, also=(416,)) as response:
            await self._begin(response.status, response.headers)
            await self._receive(response.content)

    def wait(self, note: str) -> None:
        """Report what the download waits for."""
        self._report(self._step._replace(note=note))

    @property
    def _step(self) -> Step:
        return Step("staging", 0, 1, self.reached, max(self._entry.size, 0))

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Go on where the last attempt broke off if the server does, else from the start."""
        name, etag = without_credentials(self._entry.key), strong_etag(headers)
        if self._entry.etag and etag and etag != self._entry.etag:
            raise StorageFailure(
                f"URL {name} changed while it was read: its ETag was {self._entry.etag}, is {etag}",
                hint="run the job again",
                retryable=True,
            )
        if status == 206 and range_start(headers) == self.reached and version_mark(headers) in ("", self._mark):
            return
        self._mark, self.reached, self.date = version_mark(headers), 0, headers.get("Last-Modified", "")
        self.hash = hashlib.sha256()
        await asyncio.to_thread(self._file.truncate, 0)
        if status in (206, 416):
            self._mark = ""
            raise Passing(
                f"URL {name} answered {status} in place of the file's rest",
                hint="the server serves parts of files wrongly, or the file changed",
            )

    async def _receive(self, content: aiohttp.StreamReader) -> None:
        held: list[bytes] = []
        size = 0
        try:
            async for chunk in read_chunks(content):
                # Some servers answer HEAD with length 0 for what they make only when it is read.
                if 0 < self._entry.size < self.reached + size + len(chunk):
                    name = without_credentials(self._entry.key)
                    raise StorageFailure(
                        f"URL {name} is longer than the {self._entry.size} bytes that were announced",
                        hint="the server is broken or lies, or the file changed: run the job again",
                    )
                held.append(chunk)
                size += len(chunk)
                if size >= _WRITE_BYTES:
                    full, held, size = held, [], 0
                    await self._write(full)
        finally:
            # What came before the connection broke need not come again.
            await self._write(held)

    async def _write(self, chunks: list[bytes]) -> None:
        await asyncio.to_thread(self._write_at, chunks)
        self.reached += sum(map(len, chunks))
        self._report(self._step)

    def _write_at(self, chunks: list[bytes]) -> None:
        self._file.seek(self.reached)
        for chunk in chunks:
            left = memoryview(chunk)
            while left:
                left = left[self._file.write(left) or 0 :]
            self.hash.update(chunk)


def _disk_failure(error: OSError, url: str, into: Path) -> StorageFailure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailure(
            f"no space left on {into} for {without_credentials(url)}", hint="free disk space on the node"
        )
    return StorageFailure(
        f"{without_credentials(url)} cannot be written to {into}: {error.strerror or error}",
        hint="check the node's data directory",
    )


def make_source(setting: Setting) -> UrlSource:
    return UrlSource(source_patience(setting.config.input_sources), setting.reach)
