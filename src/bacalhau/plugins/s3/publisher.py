"""S3 as the home of results: the tree as one archive that is hashed while it travels, or as one object a file."""

import asyncio
import logging
import re
from base64 import b64decode
from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.addresses import EVERYWHERE, Reach
from bacalhau.border.archive import stream, tree_size
from bacalhau.border.names import shorten
from bacalhau.lib.aio import gather_bounded, together
from bacalhau.lib.errors import PublisherFailure, StorageFailure, Unavailable
from bacalhau.lib.hashing import digest_file
from bacalhau.lib.patience import USUAL, Effort, GaveUp, Patience
from bacalhau.models.execution.proof import Written
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.plugins.objects.disk import RENAME, plain_files
from bacalhau.plugins.objects.results import fill_key
from bacalhau.plugins.objects.rules import ALL_BUCKETS, BucketRules
from bacalhau.plugins.s3.allow import result_buckets
from bacalhau.plugins.s3.client import S3Client
from bacalhau.plugins.s3.failure import AccessRefused
from bacalhau.plugins.s3.ledger import Ledger
from bacalhau.plugins.s3.mark import put_mark, refuse_mark, remove_mark
from bacalhau.plugins.s3.operation import EXECUTION_METADATA, JOB_METADATA, MOST_OBJECTS, digest_text, list_objects
from bacalhau.plugins.s3.params import S3PublisherParams, check_publisher, result_spec
from bacalhau.plugins.s3.settings import current_settings
from bacalhau.plugins.s3.upload import Target, abort_left, part_size, put_whole, upload_stream
from bacalhau.ports.plugin import Setting, publisher_patience
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.publisher import Result

log = logging.getLogger(__name__)

_USUAL_KEY = re.compile(r"[\w./ =+-]*", re.ASCII)
_PIECE_BYTES = 1 << 20
_READ_BYTES, _READ_FILES = 4 << 20, 64  # that are read with one trip to a thread
_SMALL_AT_ONCE, _LARGE_AT_ONCE = (
    16,
    2,
)  # files up to a piece, and those above, whose parts are themselves in flight side by side


class S3Publisher:
    """A Publisher. The same result published again takes the same keys."""

    def __init__(
        self, reach: Reach = EVERYWHERE, buckets: BucketRules = ALL_BUCKETS, patience: Patience = USUAL
    ) -> None:
        self._client = S3Client(reach, patience)
        self._buckets, self._patience = buckets, patience

    async def close(self) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        """Writing needs credentials."""
        try:
            ambient = await self._client.ambient()
        except StorageFailure as e:
            raise Unavailable(e.message, hint=e.hint) from e
        if not ambient.credentials:
            hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for the node"
            raise Unavailable("no AWS credentials on this node, so it cannot publish to S3", hint=hint)

    def list_objections(self, spec: SpecConfig, namespace: str) -> list[str]:
        params, _ = read_params(spec, S3PublisherParams)
        return self._buckets.list_objections(params.bucket if params else None, namespace)

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        problems = check_publisher(result.publisher)
        if problems:
            raise PublisherFailure(problems, component="S3")
        params = require_params(result.publisher, S3PublisherParams)
        key = fill_key(params.key, result, is_plain=params.is_plain)
        origin = ((EXECUTION_METADATA, result.execution_id), (JOB_METADATA, result.job_id))
        progress = _Sending(report)
        client = self._client.under(Effort(self._patience, progress.wait, heard=True))
        try:
            address = params.place(await current_settings())
            ledger = await asyncio.to_thread(Ledger, result.folder.parent)
            await abort_left(client, ledger)
            target = Target(client, address, key, ledger, result.confirm, origin)
            if params.is_plain:
                stored = await _publish_plain(target, result, progress)
            else:
                stored = await _publish_archive(target, result, progress)
            region = await self._client.region_of(address)
        except StorageFailure as e:
            again = e.retryable and not isinstance(e, GaveUp)
            raise PublisherFailure(e.message, hint=e.hint, retryable=again, component=e.component) from e
        except OSError as e:
            raise PublisherFailure(
                f"cannot read the result {e.filename or result.folder}: {e.strerror or e}", component="S3"
            ) from e
        paying = {"RequesterPays": True} if address.is_paying else {}
        place = {"Bucket": address.bucket, "Key": key, "Region": region, "Endpoint": address.endpoint, **paying}
        return result_spec(place | stored)


class _Sending:
    """The step that is reported while a result is on its way."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._step = Step("publishing")

    def expect(self, objects: int, size: int = 0) -> None:
        self._step = self._step._replace(total=objects, bytes_total=size)

    def sent(self, count: int, objects: int = 0) -> None:
        self._step = self._step._replace(done=self._step.done + objects, bytes_done=self._step.bytes_done + count)
        self._report(self._step)

    def end(self) -> None:
        """The size of an archive is known when it has been sent."""
        self._report(self._step._replace(done=1, bytes_total=self._step.bytes_done))

    def wait(self, note: str) -> None:
        self._report(self._step._replace(note=note))


async def _publish_archive(target: Target, result: Result, progress: _Sending) -> dict[str, str]:
    expected = await asyncio.to_thread(partial(tree_size, result.folder, with_holes=False))
    progress.expect(1)
    pieces = stream(result.folder, result.tell)
    uploaded = await upload_stream(target, pieces, expected=expected, sent=progress.sent)
    progress.end()
    return {"VersionID": uploaded.stored.version, "ChecksumSHA256": uploaded.digest}


async def _publish_plain(target: Target, result: Result, progress: _Sending) -> dict[str, str]:
    """Store each file as an object with a checksum of its own, which the server checks and `get` compares; then the
    mark, whose checksum is that of the result.
    """
    folder, written = result.folder, result.written or Written()
    files = await asyncio.to_thread(plain_files, folder, target.key, "S3")
    refuse_mark(files)
    if result.execution_id not in target.key:
        await remove_mark(target)
    progress.expect(len(files), sum(size for _, size in files))

    async def put_large(name: str, size: int) -> None:
        path = folder / name
        # An upload in parts begins with the digest, so that others can compare the object: its file is read twice.
        known = "" if size < part_size(size) else await asyncio.to_thread(digest_file, path)
        own = target._replace(key=target.key + name)
        uploaded = await upload_stream(own, _read(path), expected=size, sent=progress.sent, digest=known)
        written.add(name, uploaded.size, b64decode(uploaded.digest))
        progress.sent(0, 1)

    small = _SmallFiles(folder, [each for each in files if each[1] <= _PIECE_BYTES])

    async def put_small_ones() -> None:
        while (found := await small.take()) is not None:
            await put_whole(target._replace(key=target.key + found.name), found.body, found.digest)
            written.add(found.name, len(found.body), b64decode(found.digest))
            progress.sent(len(found.body), 1)

    await together(*(put_small_ones() for _ in range(_SMALL_AT_ONCE)))
    large = [partial(put_large, name, size) for name, size in files if size > _PIECE_BYTES]
    await gather_bounded(_LARGE_AT_ONCE, list(large))
    await _require_kept(target, [target.key + name for name, _ in files])
    return {"VersionID": "", "ChecksumSHA256": await put_mark(target, result, written)}


class _SmallFile(NamedTuple):
    """A file in memory; `digest` is its base64 SHA-256."""

    name: str
    body: bytes
    digest: str


class _SmallFiles:
    """Small files on their way to whoever sends them: read and hashed many at a time, because a trip to a thread costs
    more than a file.
    """

    def __init__(self, folder: Path, files: Sequence[tuple[str, int]]) -> None:
        self._folder, self._files = folder, deque(files)
        self._held = deque[_SmallFile]()
        self._turn = asyncio.Lock()

    async def take(self) -> _SmallFile | None:
        """Return the next file, None after the last one. Raises OSError."""
        if not self._held:
            async with self._turn:
                if not self._held:
                    self._held.extend(await asyncio.to_thread(self._read))
        return self._held.popleft() if self._held else None

    def _read(self) -> list[_SmallFile]:
        found, size = list[_SmallFile](), 0
        while self._files and size < _READ_BYTES and len(found) < _READ_FILES:
            name, expected = self._files.popleft()
            body = (self._folder / name).read_bytes()
            found.append(_SmallFile(name, body, digest_text(body)))
            size += expected
        return found


async def _require_kept(target: Target, keys: list[str]) -> None:
    """Raise StorageFailure for a key that the server has changed, and so nobody would find: some turn \\ into /.

    Keys of usual characters are not looked for, and none where the credentials may write and not list.
    """
    missing = {key for key in keys if not _USUAL_KEY.fullmatch(key)}
    if not missing:
        return
    try:
        async for each in list_objects(target.client, target.address, target.key, MOST_OBJECTS):
            missing.discard(each.key)
            if not missing:
                return
    except AccessRefused as e:
        log.info("the names of a result were not compared with the server's: %s", e.message)
        return
    name = shorten(min(missing).removeprefix(target.key))
    said = f"file name {name!r} cannot be an S3 key at {target.address.server}: the server keeps it as another"
    raise StorageFailure(said, hint=RENAME, component="S3")


async def _read(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(open, path, "rb", 0)
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
    finally:
        file.close()


def make_publisher(setting: Setting) -> S3Publisher:
    patience = publisher_patience(setting.config)
    return S3Publisher(setting.reach, result_buckets(setting.config), patience)
