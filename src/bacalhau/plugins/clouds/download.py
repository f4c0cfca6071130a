"""Brings a published result to the client, with the credentials of the client's own machine."""

import asyncio
import base64
import binascii
import logging
from pathlib import Path

from bacalhau.border.archive import unpack_async
from bacalhau.lib.errors import NotFound
from bacalhau.lib.hashing import digest_file
from bacalhau.lib.patience import DOWNLOAD, Effort, Patience
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.clouds.bucket import Bucket, make_threads, open_bucket
from bacalhau.plugins.clouds.cloud import Cloud, Endpoints
from bacalhau.plugins.clouds.fetch import Progress, fetch_entries, fetch_one
from bacalhau.plugins.clouds.listing import Lister, list_all
from bacalhau.plugins.clouds.params import ResultParams
from bacalhau.plugins.objects.disk import disk_failure
from bacalhau.plugins.objects.keys import pick_below, refuse_clashes
from bacalhau.ports.progress import Report
from bacalhau.ports.storage import Entry

log = logging.getLogger(__name__)
_MOST_FILES = 2_000_000


class CloudDownloader:
    """A Downloader. A result at another endpoint than the client's environment names is refused."""

    def __init__(self, cloud: Cloud, patience: Patience = DOWNLOAD) -> None:
        self._cloud, self._patience = cloud, patience

    async def download(self, result: SpecConfig, into: Path, report: Report, only: str = "") -> None:
        params = require_params(result, self._cloud.result)
        threads = make_threads(self._cloud)
        try:
            bucket = await open_bucket(self._cloud, params.place, Endpoints(), self._patience, threads)
            await asyncio.to_thread(into.mkdir, parents=True, exist_ok=True)
            bring = self._archive if params.is_archive else self._plain
            await bring(bucket, params, into, report, only)
        except OSError as e:
            raise disk_failure(e, into, self._cloud.kind.upper()) from e
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _archive(self, bucket: Bucket, params: ResultParams, into: Path, report: Report, only: str) -> None:
        """Bring one archive beside its contents, under a name that a later attempt finds again; verify and unpack."""
        part = into / f".{_short_name(params.digest)}.part"
        if not params.digest or await asyncio.to_thread(_digest, part) != params.digest:
            found = await Effort(self._patience).persist(lambda: bucket.head(params.key))
            entry = Entry(params.key, "", found.size, found.etag, found.version, params.digest)
            progress = Progress("downloading", (entry,), self._patience, report)
            await fetch_one(bucket, entry, part, progress)
            progress.add(1, 0)
        left_out = await unpack_async(part, into, only)
        await asyncio.to_thread(part.unlink)
        for name in left_out:
            log.warning("symlink %s of the result was left out: it points outside of it", name)

    async def _plain(self, bucket: Bucket, params: ResultParams, into: Path, report: Report, only: str) -> None:
        wanted = self._cloud.source(bucket=params.bucket, key=params.key)
        too_many = self._cloud.fault(f"the result has more than {_MOST_FILES:,} files")
        entries = await list_all(Lister(bucket, wanted, Effort(self._patience)), _MOST_FILES, too_many)
        if not entries:
            raise NotFound(f"the result is gone: nothing begins with {params.key} in {bucket.cloud.at(bucket.place)}")
        await asyncio.to_thread(refuse_clashes, params.bucket, entries, self._cloud.kind)
        entries = pick_below(entries, only)
        missing = tuple([entry for entry in entries if not await _is_here(bucket, entry, into)])
        await fetch_entries(bucket, missing, into, Progress("downloading", missing, self._patience, report))


async def _is_here(bucket: Bucket, entry: Entry, into: Path) -> bool:
    """Tell whether an earlier attempt left the file, whole."""
    path = into / entry.path
    if not path.is_file() or path.stat().st_size != entry.size:
        return False
    found = await bucket.head(entry.key)
    return bool(found.digest) and await asyncio.to_thread(_digest, path) == found.digest


def _short_name(digest: str) -> str:
    try:
        return base64.b64decode(digest, validate=True).hex()[:16] or "archive"
    except binascii.Error:
        return "archive"


def _digest(path: Path) -> str:
    """Return the base64 SHA-256 of a file, "" where there is none."""
    return digest_file(path) if path.is_file() else ""
