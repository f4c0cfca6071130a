"""The mark of a complete plain result: `_bacalhau/manifest.json` below its prefix, the last object that is stored.

It is JSON: `version` 1, `jobID`, `executionID`, and `files` with `path`, `size` in bytes and `sha256` in hex, sorted by
path. A published result has the mark's SHA-256 as its checksum. So half of a result, and one that another execution
replaced, are told from a whole one. Results of older nodes, and of nodes of another make, have no mark and no checksum.
"""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from bacalhau.border.connect import read_chunks
from bacalhau.border.exchange import Incoming
from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.wire import encode
from bacalhau.models.execution.proof import FileRow, Written
from bacalhau.plugins.objects.digest import full_checksum
from bacalhau.plugins.objects.disk import RENAME
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client, read_all
from bacalhau.plugins.s3.failure import AbsentBucket, AbsentObject, AccessRefused
from bacalhau.plugins.s3.operation import EXECUTION_METADATA, JOB_METADATA
from bacalhau.plugins.s3.params import MARK, S3SourceParams
from bacalhau.plugins.s3.upload import Target, upload_stream
from bacalhau.ports.publisher import Result

VERSION = 1
_ROWS = 2000  # files that are written with one trip to a thread
_HINT = "next time give each execution a key of its own, with {executionID}"


def refuse_mark(files: Iterable[tuple[str, int]]) -> None:
    """Raise StorageFailure for a result with a file of the mark's name."""
    if any(name == MARK for name, _ in files):
        said = f"file name {MARK!r} is that of the mark which ends a plain result"
        raise StorageFailure(said, hint=RENAME, component="S3")


async def remove_mark(target: Target) -> None:
    """Remove the mark of an earlier result with the same key, before its files are replaced. Where the credentials may
    write and not remove, it stays; the checksum of the earlier result then still tells. A bucket that is not there is
    told by the files, and some servers make it for them.
    """
    request = Request(target.address, "DELETE", target.key + MARK, confirm=target.confirm)
    try:
        await target.client.call(request, read_all)
    except (AbsentBucket, AbsentObject, AccessRefused):
        return


async def put_mark(target: Target, result: Result, written: Written) -> str:
    """Store the mark and return its base64 SHA-256."""
    own = target._replace(key=target.key + MARK)
    return (await upload_stream(own, _write(result, written), expected=0, sent=lambda count: None)).digest


async def _write(result: Result, written: Written) -> AsyncIterator[bytes]:
    head = {"version": VERSION, "jobID": result.job_id, "executionID": result.execution_id}
    yield encode(head)[:-1] + b',"files":['
    rows, before = iter(written.rows), b"\n"
    while some := await asyncio.to_thread(lambda: list(islice(rows, _ROWS))):
        yield before + await asyncio.to_thread(_join, some)
        before = b",\n"
    yield b"\n]}\n"


def _join(rows: Sequence[FileRow]) -> bytes:
    return b",\n".join(encode({"path": row.path, "size": row.size, "sha256": row.sha256}) for row in rows)


class _Found(NamedTuple):
    digest: str
    headers: Mapping[str, str]


async def check_mark(client: S3Client, address: BucketAddress, source: S3SourceParams, link: str = "") -> None:
    """Compare the mark of a plain result with the one that was published; a result without a checksum has none.

    It is read by the `link` where there is one. Raises StorageFailure for a mark that is missing or another one.
    """
    if not source.mark:
        return
    where = f"the result at s3://{shorten(source.bucket)}/{shorten(source.prefix)}"
    try:
        found = await client.call(Request(address, "GET", source.mark, url=link), _hash)
    except AbsentObject as e:
        said = f"{where} is incomplete: its last object, {MARK}, is not there"
        hint = f"another execution may be replacing it, or it was removed; {_HINT}"
        raise StorageFailure(said, hint=hint, component="S3") from e
    if found.digest == full_checksum(source.checksum_sha256):
        return
    execution = shorten(found.headers.get(EXECUTION_METADATA, ""))
    by = (
        f"by execution {execution} of job {shorten(found.headers.get(JOB_METADATA, ''))}" if execution else "by another"
    )
    when = shorten(found.headers.get("Last-Modified", "")) or "a time that the server does not tell"
    raise StorageFailure(f"{where} was replaced {by}, at {when}", hint=_HINT, component="S3")


async def _hash(response: Incoming) -> _Found:
    made = hashlib.sha256()
    async for chunk in read_chunks(response.content):
        made.update(chunk)
    return _Found(b64encode(made.digest()).decode(), response.headers)
