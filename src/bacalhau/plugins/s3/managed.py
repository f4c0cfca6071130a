"""Results in a bucket of the orchestrator's: nodes store them, and clients fetch them, by links that it signs, without
credentials of their own.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
import yarl

from bacalhau.border.archive import pack
from bacalhau.border.connect import open_session
from bacalhau.border.sending import sending
from bacalhau.config.plugins import S3Managed
from bacalhau.config.schema import Config
from bacalhau.lib.aio import read_up_to
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, BadRequest, PublisherFailure, StorageFailure, Unavailable
from bacalhau.lib.network import network_fault
from bacalhau.lib.patience import USUAL, Effort, Fault, Passing, Patience, asked_seconds
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.s3.ambient import AMBIENT
from bacalhau.plugins.s3.bucket import find_bucket
from bacalhau.plugins.s3.params import PreSignedParams, S3SourceParams
from bacalhau.plugins.s3.reported import KeptInput
from bacalhau.plugins.s3.signature import presigned_url
from bacalhau.ports.plugin import OrchestratorPart, Setting, SignUpload, publisher_patience
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.publisher import Published, Result

KIND = "s3managed"
_LARGEST = 5 << 30  # bytes that S3 takes in one request
_PIECE = 256 << 10
_PASSING = (408, 429)


class ManagedBucket(NamedTuple):
    """The bucket of the configuration; without an `endpoint` that of the AWS configuration counts. `prefix` begins
    keys, and links live for `seconds`.
    """

    bucket: str
    region: str
    endpoint: str
    prefix: str
    seconds: int

    async def sign_upload(self, job_id: str, execution_id: str) -> str:
        return await self._signed(job_id, execution_id, "PUT")

    async def presign(self, published: Published) -> SpecConfig:
        """Return a result of this kind as a client can fetch it."""
        link = await self._signed(published.job_id, published.execution_id, "GET")
        return SpecConfig(
            type="s3PreSigned",
            params=msgspec.to_builtins(
                PreSignedParams(source_spec=S3SourceParams(), pre_signed_url=link, managed=True)
            ),
        )

    async def sign_input(self, source: SpecConfig) -> SpecConfig:
        """Add a link to an input that is a result of this kind."""
        params = require_params(source, KeptInput)
        link = await self._signed(params.job_id, params.execution_id, "GET")
        return msgspec.structs.replace(source, params=msgspec.to_builtins(msgspec.structs.replace(params, link=link)))

    async def _signed(self, job_id: str, execution_id: str, method: str) -> str:
        try:
            ambient = await AMBIENT.current()
        except StorageFailure as e:
            raise Unavailable(e.message, hint=e.hint) from e
        if not ambient.credentials:
            raise Unavailable(
                "the orchestrator has no AWS credentials to sign links with",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for it",
            )
        key = "/".join(filter(None, (self.prefix.strip("/"), job_id, f"{execution_id}.tar.gz")))
        address = find_bucket(ambient.settings, self.bucket, self.region, self.endpoint)
        return presigned_url(ambient, self.region, address.url(key, (), self.region), self.seconds, method)


class _LinkRefused(Passing):
    """The answer to a link that has expired, or that leads to what its signer may not write."""


class S3ManagedPublisher:
    """A Publisher. Each attempt asks for a link of its own."""

    def __init__(self, sign: SignUpload, patience: Patience = USUAL) -> None:
        self._sign, self._patience = sign, patience

    async def check(self) -> None:
        return None

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        handle, name = tempfile.mkstemp(dir=result.folder.parent, prefix=".result-", suffix=".tar.gz")
        os.close(handle)
        try:
            size = await asyncio.to_thread(_write, result, Path(name))
            if size > _LARGEST:
                raise PublisherFailure(
                    f"the result is larger than {_LARGEST >> 30} GiB",
                    hint="publish it to S3 with `-p s3://bucket/key`",
                    component="S3",
                )
            await self._store(result, Path(name), size, report)
        except OSError as e:
            raise PublisherFailure(
                f"the result cannot be packed beside {result.folder}: {e.strerror or e}", retryable=True, component="S3"
            ) from e
        finally:
            Path(name).unlink(missing_ok=True)
        return SpecConfig(type=KIND, params={"JobID": result.job_id, "ExecutionID": result.execution_id})

    async def _store(self, result: Result, path: Path, size: int, report: Report) -> None:
        is_last = False  # the next refusal is no matter of the link's age

        def wait(note: str) -> None:
            report(Step("publishing", 0, 1, 0, size, note))

        async def attempt() -> None:
            try:
                link = await self._sign(result.job_id, result.execution_id)
            except BacalhauError as e:
                if not e.retryable:
                    raise
                raise Passing(e.message, hint=e.hint, component="S3").because(Fault(e.message)) from e
            await result.confirm()
            nonlocal is_last
            try:
                await _put(link, path, size, report, self._patience.silence)
            except _LinkRefused as e:
                if is_last:
                    raise PublisherFailure(e.message, component="S3") from e
                is_last = True
                raise

        try:
            await Effort(self._patience, wait, heard=True).persist(attempt)
        except StorageFailure as e:
            raise PublisherFailure(e.message, hint=e.hint, retryable=False, component=e.component) from e


def _write(result: Result, path: Path) -> int:
    with path.open("wb") as file:
        for piece in pack(result.folder, result.tell):
            file.write(piece)
        return file.tell()


async def _put(link: str, path: Path, size: int, report: Report, silence: float) -> None:
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    server = yarl.URL(link).host
    limit = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
    try:
        async with (
            open_session(server=link, timeout=limit) as session,
            sending(_pieces(path, size, report), silence) as body,
            session.put(yarl.URL(link, encoded=True), data=body, headers=headers) as response,
        ):
            if response.status >= 300:
                said = (await read_up_to(500, response.content.iter_any())).decode(errors="replace")
                text = f"{server} refused the result: {response.status} {said}".rstrip()
                if response.status == 403:
                    raise _LinkRefused(text, component="S3")
                if response.status < 500 and response.status not in _PASSING:
                    raise PublisherFailure(text, component="S3")
                asked = asked_seconds(response.headers.get("Retry-After", ""), now_ns())
                raise Passing(text, component="S3").because(Fault(f"the store answers {response.status}", asked))
    except (aiohttp.ClientError, TimeoutError) as e:
        text = f"{server} cannot be reached: {network_fault(e)}"
        raise Passing(text, component="S3").because(Fault(text)) from e


async def _pieces(path: Path, size: int, report: Report) -> AsyncIterator[bytes]:
    sent = 0
    with path.open("rb", buffering=0) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
            sent += len(piece)
            report(Step("publishing", int(sent == size), 1, sent, size))


def make_publisher(setting: Setting) -> S3ManagedPublisher:
    return S3ManagedPublisher(setting.sign_upload, publisher_patience(setting.config))


def make_part(config: Config) -> OrchestratorPart:
    """Sign links for nodes and clients, or refuse such jobs where no bucket is configured."""
    bucket = managed_bucket(config.publishers.types.s3_managed)
    if bucket is None:
        said = f"publisher {KIND} is not set up on this orchestrator"
        return OrchestratorPart(refusal=f"{said}: Publishers.Types.S3Managed.Bucket and Region are empty")
    return OrchestratorPart(presign=bucket.presign, sign_upload=bucket.sign_upload, sign_input=bucket.sign_input)


def managed_bucket(wanted: S3Managed) -> ManagedBucket | None:
    """Return the bucket of the configuration, None where nothing of it is set.

    Raises BadRequest that names what is missing where only a part is set.
    """
    if not (wanted.bucket or wanted.region or wanted.key or wanted.endpoint):
        return None
    missing = [name for name, value in (("Bucket", wanted.bucket), ("Region", wanted.region)) if not value]
    if wanted.pre_signed_url_expiration < 1:
        missing.append("PreSignedURLExpiration of at least 1s")
    if missing:
        raise BadRequest(
            f"Publishers.Types.S3Managed needs {' and '.join(missing)}", hint="set them, or leave out the whole section"
        )
    seconds = int(wanted.pre_signed_url_expiration)
    return ManagedBucket(wanted.bucket, wanted.region, wanted.endpoint, wanted.key, seconds)
