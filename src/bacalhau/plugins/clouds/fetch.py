"""The way of objects from a bucket to the disk: several at once, continued where they broke off, compared with what was
listed.
"""

import asyncio
import base64
import hashlib
import os
import shutil
import uuid
from functools import partial
from pathlib import Path
from typing import IO

from bacalhau.border.folding import DistinctNames
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Effort, Patience
from bacalhau.plugins.clouds.bucket import Bucket, Opening, take
from bacalhau.plugins.clouds.failure import ANEW, AbsentObject, ChangedObject
from bacalhau.plugins.objects.disk import disk_failure
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import Entry, Record, record_nothing

_AT_ONCE = 12
_BROKEN = "the object was damaged on the way, or its server is broken"


class Progress:
    """The step that is reported; bytes that came for the first time are progress."""

    def __init__(self, stage: str, entries: tuple[Entry, ...], patience: Patience, report: Report) -> None:
        self._report = report
        self._step = Step(stage, 0, len(entries), 0, sum(max(entry.size, 0) for entry in entries))
        self.effort = Effort(patience, self._wait, heard=True)

    def add(self, objects: int, count: int) -> None:
        self._step = self._step._replace(
            done=self._step.done + objects, bytes_done=self._step.bytes_done + count, note=""
        )
        if count:
            self.effort.advance()
        self._report(self._step)

    def _wait(self, note: str) -> None:
        self._report(self._step._replace(note=note))


class _Incoming:
    """An object on its way: the bytes before `at` are in `file` and in the hash."""

    def __init__(self, entry: Entry, file: IO[bytes], at: int = 0) -> None:
        self.entry, self.file, self.at = entry, file, at
        self.digest, self.size, self.hash = entry.checksum, entry.size, hashlib.sha256()

    def write(self, piece: bytes) -> None:
        self.file.write(piece)
        self.hash.update(piece)

    def take(self, opening: Opening) -> bytes:
        """Write what is at hand and read on; return what came."""
        piece = take(opening.rest)
        self.write(piece)
        return piece


async def fetch_entries(
    bucket: Bucket, entries: tuple[Entry, ...], into: Path, progress: Progress, record: Record = record_nothing
) -> None:
    """Write every entry to its path below `into`, and tell `record` of it.

    Raises StorageFailure; what is complete by then stays.
    """
    scratch = into / f".part-{uuid.uuid4().hex}"

    async def bring(entry: Entry, index: int) -> None:
        path = scratch / str(index)
        size, digest = await fetch_one(bucket, entry, path, progress)
        await asyncio.to_thread(os.rename, path, into / entry.path)
        record(entry.path, size, digest)
        progress.add(1, 0)

    try:
        await asyncio.to_thread(_make_folders, into, scratch, entries)
        await gather_bounded(_AT_ONCE, [partial(bring, entry, index) for index, entry in enumerate(entries)])
    except OSError as e:
        raise disk_failure(e, into, bucket.cloud.kind.upper()) from e
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _make_folders(into: Path, scratch: Path, entries: tuple[Entry, ...]) -> None:
    scratch.mkdir(parents=True)
    names = DistinctNames(into)
    for entry in entries:
        names.add(entry.path)
    for folder in sorted({os.path.dirname(entry.path) for entry in entries}):
        (into / folder).mkdir(parents=True, exist_ok=True)


async def fetch_one(bucket: Bucket, entry: Entry, path: Path, progress: Progress) -> tuple[int, bytes]:
    """Bring an object into a file and compare its size and digest; return its size in bytes and its SHA-256.

    Raises StorageFailure, OSError.
    """
    file = await asyncio.to_thread(path.open, "wb", 0)
    try:
        incoming = _Incoming(entry, file)
        try:
            await progress.effort.persist(partial(_continue, bucket, incoming, progress), lambda: incoming.at)
        except (AbsentObject, ChangedObject) as e:
            raise await _tell_change(bucket, entry) or e from e
    finally:
        file.close()
    digest = incoming.hash.digest()
    found = base64.b64encode(digest).decode()
    if incoming.digest and found != incoming.digest:
        said = f"checksum mismatch for object {entry.key} in {bucket.cloud.at(bucket.place)}"
        raise bucket.cloud.fault(f"{said}, expected {incoming.digest}, got {found}", _BROKEN)
    return incoming.at, digest


async def _continue(bucket: Bucket, incoming: _Incoming, progress: Progress) -> None:
    """Read an object from where it is on. Raises StorageFailure when it is not the one that was listed."""
    entry = incoming.entry
    if entry.size >= 0 and incoming.at == entry.size and entry.size:
        return
    opening = await bucket.open(entry, incoming.at)
    _require_same(bucket, entry, opening)
    incoming.digest = entry.checksum or opening.found.digest
    piece = opening.first
    await bucket.run(entry.key, incoming.write, piece)
    while piece:
        incoming.at += len(piece)
        progress.add(0, len(piece))
        if incoming.at > opening.found.size:
            break
        piece = await bucket.run(entry.key, incoming.take, opening)
    if incoming.at != opening.found.size:
        said = f"object {entry.key}: {incoming.at} bytes arrived instead of {opening.found.size}"
        raise bucket.cloud.fault(said, _BROKEN)


def _require_same(bucket: Bucket, entry: Entry, opening: Opening) -> None:
    found = opening.found
    if (entry.etag and found.etag != entry.etag) or (0 <= entry.size != found.size):
        raise _changed(bucket, entry, found.etag)


def _changed(bucket: Bucket, entry: Entry, etag: str) -> ChangedObject:
    kind = bucket.cloud.kind
    said = f"{kind}: object {entry.key} in {bucket.cloud.at(bucket.place)} changed after it was listed"
    told = f": {entry.etag} was listed, {etag} is there" if entry.etag else ""
    return ChangedObject(said + told, hint=ANEW, component=kind.upper())


async def _tell_change(bucket: Bucket, entry: Entry) -> StorageFailure | None:
    """Say what was listed of an object that is another one now, or gone, and what is there."""
    if not entry.etag:
        return None
    try:
        found = await bucket.head(entry.key)
    except AbsentObject:
        said = f"object {entry.key} in {bucket.cloud.at(bucket.place)} is gone: {entry.etag} was listed"
        return bucket.cloud.fault(said, ANEW)
    except StorageFailure:
        return None
    return _changed(bucket, entry, found.etag)
