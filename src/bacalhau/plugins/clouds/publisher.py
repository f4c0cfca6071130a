"""A cloud as the home of results: the tree as one archive that is hashed while it travels, or as one object a file."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bacalhau.border.archive import stream
from bacalhau.border.names import shorten
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import PublisherFailure, StorageFailure, Unavailable
from bacalhau.lib.hashing import hash_file
from bacalhau.lib.patience import USUAL, Effort, GaveUp, Patience
from bacalhau.models.execution.proof import Written
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.plugins.clouds.bucket import Bucket, make_threads, open_bucket
from bacalhau.plugins.clouds.checks import check_publisher
from bacalhau.plugins.clouds.cloud import Cloud, Endpoints
from bacalhau.plugins.clouds.params import Place, PublisherParams
from bacalhau.plugins.objects.disk import RENAME, plain_files
from bacalhau.plugins.objects.results import fill_key
from bacalhau.plugins.objects.rules import ALL_BUCKETS, BucketRules
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.publisher import Confirm, Result

_FILES_AT_ONCE = 8


class CloudPublisher:
    """A Publisher. The same result published again takes the same keys."""

    def __init__(
        self, cloud: Cloud, endpoints: Endpoints, buckets: BucketRules = ALL_BUCKETS, patience: Patience = USUAL
    ) -> None:
        self._cloud, self._endpoints, self._buckets, self._patience = cloud, endpoints, buckets, patience
        self._threads = make_threads(cloud)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self) -> None:
        """Writing needs credentials."""
        _, identity = await asyncio.get_running_loop().run_in_executor(self._threads, self._cloud.find, Place(""))
        if not identity.who:
            said = f"no credentials for {self._cloud.title} on this node, so it cannot publish there"
            raise Unavailable(said, hint=self._cloud.cure)

    def list_objections(self, spec: SpecConfig, namespace: str) -> list[str]:
        params, _ = read_params(spec, self._cloud.publisher)
        if params is None:
            return []
        said, _ = self._endpoints.refusal(self._cloud, params.place)
        return self._buckets.list_objections(params.bucket, namespace) + ([said] if said else [])

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        problems = check_publisher(self._cloud, result.publisher)
        if problems:
            raise PublisherFailure(problems, component=self._cloud.kind.upper())
        params = require_params(result.publisher, self._cloud.publisher)
        key = fill_key(params.key, result, is_plain=params.is_plain)
        try:
            digest = await self._publish(params, key, result, report)
        except StorageFailure as e:
            again = e.retryable and not isinstance(e, GaveUp)
            raise PublisherFailure(e.message, hint=e.hint, retryable=again, component=e.component) from e
        except OSError as e:
            said = f"cannot read the result {e.filename or result.folder}: {e.strerror or e}"
            raise PublisherFailure(said, component=self._cloud.kind.upper()) from e
        kept = {"bucket": params.bucket, "key": key, "endpoint": params.endpoint, "account": params.account}
        return SpecConfig(type=self._cloud.kind, params=msgspec.to_builtins(self._cloud.result(**kept, digest=digest)))

    async def _publish(self, params: PublisherParams, key: str, result: Result, report: Report) -> str:
        """Store a result; return the digest of its archive, "" for plain files."""
        bucket = await open_bucket(self._cloud, params.place, self._endpoints, self._patience, self._threads)
        sending = _Sending(bucket, self._patience, result.confirm, report)
        if params.is_plain:
            await sending.plain(key, result.folder, result.written or Written())
            return ""
        return await sending.effort.persist(partial(sending.archive, key, result), lambda: sending.furthest)


class _Sending:
    """A result on its way, and the step that is reported meanwhile."""

    def __init__(self, bucket: Bucket, patience: Patience, confirm: Confirm, report: Report) -> None:
        self._bucket, self._confirm, self._report = bucket, confirm, report
        self._step = Step("publishing")
        self.effort = Effort(patience, self._wait, heard=True)
        self.furthest = 0

    def _wait(self, note: str) -> None:
        self._report(self._step._replace(note=note))

    def _sent(self, count: int, objects: int = 0) -> None:
        step = self._step
        self._step = step._replace(done=step.done + objects, bytes_done=step.bytes_done + count)
        self.furthest = max(self.furthest, self._step.bytes_done)
        self._report(self._step)

    async def archive(self, key: str, result: Result) -> str:
        """Store the tree as one object; return its base64 SHA-256."""
        self._step = Step("publishing", total=1)
        pieces = _Pieces(stream(result.folder, result.tell), self._confirm, self._sent)
        await self._bucket.put(key, iter(pieces))
        self._sent(0, 1)
        return b64encode(pieces.hash.digest()).decode()

    async def plain(self, prefix: str, folder: Path, written: Written) -> None:
        """Store each file under its name. Its digest is kept beside it, and `get` compares it."""

        async def put(name: str, size: int) -> None:
            written.add(name, size, await self._put_file(prefix + name, folder / name, size))

        files = await asyncio.to_thread(plain_files, folder, prefix, self._bucket.cloud.title)
        for name, _ in files:
            self._require_name(name)
        self._step = Step("publishing", total=len(files), bytes_total=sum(size for _, size in files))
        await gather_bounded(_FILES_AT_ONCE, [partial(put, name, size) for name, size in files])

    async def _put_file(self, key: str, path: Path, size: int) -> bytes:
        """Store a file; return its SHA-256."""
        found = await asyncio.to_thread(hash_file, path)
        digest = b64encode(found).decode()

        async def attempt() -> None:
            await self._confirm()
            with path.open("rb") as file:
                await self._bucket.put(key, file, digest)

        await self.effort.persist(attempt)
        self._sent(size, 1)
        return found

    def _require_name(self, name: str) -> None:
        if fault := self._bucket.cloud.name_fault(name):
            said = f"file name {shorten(name)!r} cannot be a key of {self._bucket.cloud.title}: {fault}"
            raise self._bucket.cloud.fault(said, RENAME)


class _Pieces:
    """The pieces of a stream for a thread that sends them. After the last one, and so before anything can be seen,
    comes the confirmation.
    """

    def __init__(self, pieces: AsyncIterator[bytes], confirm: Confirm, sent: Any) -> None:
        self._pieces, self._confirm, self._sent = pieces, confirm, sent
        self._loop = asyncio.get_running_loop()
        self.hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._wait(anext(self._pieces, b"")):
            self.hash.update(piece)
            yield piece
            self._loop.call_soon_threadsafe(self._sent, len(piece))
        self._wait(self._confirm())

    def _wait(self, work: Any) -> Any:
        """Run a coroutine on the event loop, and wait for it in this thread."""
        return asyncio.run_coroutine_threadsafe(_whole(work), self._loop).result()


async def _whole(work: Any) -> Any:
    return await work
