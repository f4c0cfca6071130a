"""S3 as an input: which objects a job's key means, pinned as they are now, and their way into a mount."""

import asyncio
from contextlib import suppress
from pathlib import Path

from bacalhau.border.addresses import EVERYWHERE, Reach
from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import USUAL, Effort, Patience
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.plugins.objects.keys import Listed, check_entries, plan_entries, safe_path
from bacalhau.plugins.objects.partition import pick_share, sharing_of
from bacalhau.plugins.objects.rules import ALL_BUCKETS, BucketRules
from bacalhau.plugins.s3.allow import input_buckets
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import S3Client
from bacalhau.plugins.s3.content import name_all, name_of
from bacalhau.plugins.s3.failure import AbsentObject
from bacalhau.plugins.s3.fetch import Origin, fetch_entries
from bacalhau.plugins.s3.listing import Lister, Mark, read_mark
from bacalhau.plugins.s3.operation import MOST_OBJECTS, Head, head, list_objects
from bacalhau.plugins.s3.params import S3SourceParams, full_checksum, is_composite
from bacalhau.plugins.s3.settings import current_settings
from bacalhau.ports.plugin import Setting, source_patience
from bacalhau.ports.progress import Report, Step, beside
from bacalhau.ports.storage import WHOLE, Access, Content, Entry, ListedPage, Manifest, Partition, Sharing, Volume

_DIRECTORY_TYPE = "application/x-directory"


class S3Source:
    """A Storage. Without credentials it reads what is public, so it can always be used.

    A prefix of more than `most_objects` is refused. `patience` is for the listing and for the objects.
    """

    def __init__(
        self,
        reach: Reach = EVERYWHERE,
        buckets: BucketRules = ALL_BUCKETS,
        most_objects: int = MOST_OBJECTS,
        patience: Patience = USUAL,
    ) -> None:
        self._most_objects, self._patience = most_objects, patience
        self._client = S3Client(reach, patience)
        self._buckets = buckets

    async def close(self) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        return None

    def list_objections(self, spec: SpecConfig, namespace: str) -> list[str]:
        params, _ = read_params(spec, S3SourceParams)
        return self._buckets.list_objections(params.bucket if params else None, namespace)

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        params = require_params(source, S3SourceParams)
        client = self._client.under(Effort(self._patience))
        entries = await resolve_entries(client, params, self._most_objects)
        return Manifest(source, await asyncio.to_thread(pick_share, params, entries, part))

    async def list_page(self, source: SpecConfig, after: str) -> ListedPage:
        params = require_params(source, S3SourceParams)
        client, address = self._client.under(Effort(self._patience)), await bucket_of(params)
        if params.is_single and not after:
            entry = await _find_single(client, address, params)
            return ListedPage((entry,)) if entry else ListedPage((), (Mark(params.prefix + "/").text,))
        mark = read_mark(after) if after else Mark(params.prefix)
        if not mark.prefix.startswith(params.prefix):
            raise StorageFailure(f"s3: {shorten(mark.prefix)!r} is not below {shorten(params.prefix)!r}")
        return await Lister(client, address, params).page(mark)

    async def access(self, source: SpecConfig) -> Access:
        return await self._client.access_to(await bucket_of(require_params(source, S3SourceParams)))

    def sharing(self, source: SpecConfig, count: int) -> Sharing:
        return sharing_of(require_params(source, S3SourceParams), count)

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        return await self.fetch_rest(manifest, manifest.entries, into, report)

    async def fetch_rest(self, manifest: Manifest, missing: tuple[Entry, ...], into: Path, report: Report) -> Volume:
        params = require_params(manifest.source, S3SourceParams)
        await asyncio.to_thread(check_entries, params.bucket, params.prefix, manifest.entries)
        address = await bucket_of(params)
        held = manifest.size - manifest._replace(entries=missing).size
        tell = beside(report, len(manifest.entries) - len(missing), held)
        tell(Step("staging", 0, len(missing)))
        await fetch_entries(Origin(self._client, address, patience=self._patience), missing, into, tell)
        return Volume(into, read_only=True)

    def wants_copy(self, source: SpecConfig) -> bool:
        return require_params(source, S3SourceParams).writable

    async def name_place(self, source: SpecConfig) -> str:
        params = require_params(source, S3SourceParams)
        return name_of(await bucket_of(params), params.prefix)

    async def name_contents(self, manifest: Manifest) -> list[Content]:
        address = await bucket_of(require_params(manifest.source, S3SourceParams))
        return await asyncio.to_thread(name_all, address, manifest.entries)


async def bucket_of(params: S3SourceParams) -> BucketAddress:
    """Find the bucket of a source. Raises StorageFailure where this machine's configuration cannot be read."""
    return params.place(await current_settings())


async def resolve_entries(client: S3Client, params: S3SourceParams, most: int = MOST_OBJECTS) -> tuple[Entry, ...]:
    """The objects that the key names, `most` of them. An empty match is an error unless the job allows it."""
    address, key = await bucket_of(params), params.prefix
    listed_as = key
    if params.is_single:
        if entry := await _find_single(client, address, params):
            return (entry,)
        listed_as = key + "/"
    listed = [each async for each in list_objects(client, address, listed_as, most)]
    entries = await asyncio.to_thread(plan_entries, params.bucket, key, params.filter, listed)
    if not entries and not params.allow_empty:
        raise _nothing_matches(params, listed)
    return entries


async def _find_single(client: S3Client, address: BucketAddress, params: S3SourceParams) -> Entry | None:
    """Find the one object that a key names; blanks around the key count where there is such an object.

    None where the key is a folder on its server.
    """
    key = params.prefix
    if params.key != key:
        with suppress(AbsentObject):
            await head(client, address, params.key, params.version_id)
            key = params.key
    found = await head(client, address, key, params.version_id)
    return None if found.content_type.startswith(_DIRECTORY_TYPE) else _single_entry(params, key, found)


def _single_entry(params: S3SourceParams, key: str, found: Head) -> Entry:
    expected = full_checksum(params.checksum_sha256) if params.checksum_sha256 else ""
    if (
        expected
        and expected != found.checksum
        and (is_composite(expected) or (found.checksum and not is_composite(found.checksum)))
    ):
        said = f"checksum mismatch for s3://{params.bucket}/{key}, expected {expected}, got {found.checksum or 'none'}"
        raise StorageFailure(said, hint="the object is not the one that was asked for", component="S3")
    path = safe_path(params.bucket, key, key[: key.rfind("/") + 1])
    return Entry(key, path, found.size, found.etag, params.version_id or found.version, expected)


def _nothing_matches(params: S3SourceParams, listed: list[Listed]) -> StorageFailure:
    if params.filter and listed:
        said = (
            f"s3: filter {params.filter!r} matches none of {len(listed)} objects with prefix {params.prefix!r} in"
            f" bucket {params.bucket}"
        )
    elif listed:
        keys = f"keys that end in / and stand for folders, such as {shorten(listed[0].key)!r}"
        said = f"s3: prefix {params.prefix!r} in bucket {params.bucket} matches only {keys}"
    else:
        said = f"s3: nothing matches prefix {params.prefix!r} in bucket {params.bucket}"
    folded = "; some servers keep \\ as /" if "\\" in params.prefix else ""
    hint = f"check the key, which is case-sensitive{folded}; AllowEmpty: true lets the job run without input"
    return StorageFailure(said, hint=hint, component="S3")


def make_source(setting: Setting) -> S3Source:
    patience = source_patience(setting.config.input_sources)
    return S3Source(setting.reach, input_buckets(setting.config), patience=patience)
