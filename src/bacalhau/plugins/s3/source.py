"""S3 as an input: which objects a job's key means, pinned as they are now, and their way into a mount."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from bacalhau.border.addresses import EVERYWHERE, Reach
from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import USUAL, Effort, Patience
from bacalhau.models.job.selection import list_given
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.plugins.objects.digest import full_checksum, is_composite
from bacalhau.plugins.objects.keys import check_entries, refuse_clashes, safe_path
from bacalhau.plugins.objects.partition import pick_share, sharing_of
from bacalhau.plugins.objects.rules import ALL_BUCKETS, BucketRules
from bacalhau.plugins.s3.allow import input_buckets
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import S3Client
from bacalhau.plugins.s3.content import name_all, name_of
from bacalhau.plugins.s3.failure import AbsentObject
from bacalhau.plugins.s3.fetch import Origin, fetch_entries
from bacalhau.plugins.s3.input import S3InputParams
from bacalhau.plugins.s3.listing import Lister, Mark, read_mark
from bacalhau.plugins.s3.mark import check_mark
from bacalhau.plugins.s3.named import NamedLister
from bacalhau.plugins.s3.operation import MOST_OBJECTS, Head, head
from bacalhau.plugins.s3.params import S3SourceParams
from bacalhau.plugins.s3.settings import current_settings
from bacalhau.ports.plugin import Setting, source_patience
from bacalhau.ports.progress import Report, Step, beside
from bacalhau.ports.storage import (
    NAMED,
    WHOLE,
    Access,
    Content,
    Entry,
    ListedPage,
    Manifest,
    Partition,
    Sharing,
    Volume,
    missing_objects,
)

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
        params, _ = read_params(spec, S3InputParams)
        buckets = params.buckets if params else ()
        return [objection for each in buckets for objection in self._buckets.list_objections(each, namespace)]

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        params = require_params(source, S3InputParams)
        client = self._client.under(Effort(self._patience))
        entries = await resolve_entries(client, params, self._most_objects)
        return Manifest(source, await asyncio.to_thread(pick_share, params, entries, part))

    async def list_page(self, source: SpecConfig, after: str) -> ListedPage:
        params = require_params(source, S3InputParams)
        client, address = self._client.under(Effort(self._patience)), await bucket_of(params)
        if params.is_listed:
            return await NamedLister(client, address, params).page(after)
        if params.is_single and not after:
            entry = await _find_single(client, address, params)
            return ListedPage((entry,)) if entry else ListedPage((), (Mark(params.prefix + "/").text,))
        if not after:
            await check_mark(client, address, params)
        mark = read_mark(after) if after else Mark(params.prefix)
        if not mark.prefix.startswith(params.prefix):
            raise StorageFailure(f"s3: {shorten(mark.prefix)!r} is not below {shorten(params.prefix)!r}")
        return await Lister(client, address, params).page(mark)

    async def access(self, source: SpecConfig) -> Access:
        return await self._client.access_to(await bucket_of(require_params(source, S3InputParams)))

    def sharing(self, source: SpecConfig, count: int) -> Sharing:
        return sharing_of(require_params(source, S3InputParams), count)

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        return await self.fetch_rest(manifest, manifest.entries, into, report)

    async def fetch_rest(self, manifest: Manifest, missing: tuple[Entry, ...], into: Path, report: Report) -> Volume:
        params = require_params(manifest.source, S3InputParams)
        await asyncio.to_thread(check_entries, params.bucket, params.prefix, manifest.entries)
        address = await bucket_of(params)
        held = manifest.size - manifest._replace(entries=missing).size
        tell = beside(report, len(manifest.entries) - len(missing), held)
        tell(Step("staging", 0, len(missing)))
        origin = Origin(self._client, address, patience=self._patience, record=manifest.record)
        await fetch_entries(origin, missing, into, tell)
        return Volume(into, read_only=True)

    def wants_copy(self, source: SpecConfig) -> bool:
        return require_params(source, S3InputParams).writable

    async def name_place(self, source: SpecConfig) -> str:
        params = require_params(source, S3InputParams)
        return name_of(await bucket_of(params), params.prefix)

    async def name_contents(self, manifest: Manifest) -> list[Content]:
        address = await bucket_of(require_params(manifest.source, S3InputParams))
        return await asyncio.to_thread(name_all, address, manifest.entries)


async def bucket_of(params: S3SourceParams) -> BucketAddress:
    """Find the bucket of a source. Raises StorageFailure where this machine's configuration cannot be read."""
    return params.place(await current_settings())


async def resolve_entries(client: S3Client, params: S3SourceParams, most: int = MOST_OBJECTS) -> tuple[Entry, ...]:
    """The objects that the key names, `most` of them. An empty match is an error unless the job allows it."""
    address, listed_as = await bucket_of(params), params.prefix
    if params.is_single:
        if entry := await _find_single(client, address, params):
            return (entry,)
        listed_as += "/"
    if isinstance(params, S3InputParams) and params.is_listed:
        named = NamedLister(client, address, params)
        entries, said = (
            await _list_whole(named.page, "", most, params),
            f"none of the {named.seen:,} keys of its list is taken",
        )
    else:
        await check_mark(client, address, params)
        lister = Lister(client, address, params)
        entries = await _list_whole(lambda after: lister.page(read_mark(after)), Mark(listed_as).text, most, params)
        said = nothing_matches(params, lister.seen, lister.sample)
    await asyncio.to_thread(refuse_clashes, params.bucket, entries)
    if not entries and not params.allow_empty:
        raise StorageFailure(f"s3: {said}", hint=_empty_hint(params), component="S3")
    return entries


async def _list_whole(
    page: Callable[[str], Awaitable[ListedPage]], first: str, most: int, params: S3SourceParams
) -> tuple[Entry, ...]:
    """List all pages, from the token of the first on; return at most `most` objects in the order of their keys."""
    places, found, missing, names = [first], dict[str, Entry](), 0, list[str]()
    while places:
        one = await page(places.pop())
        places += reversed(one.following)
        found.update((entry.key, entry) for entry in one.entries)
        missing, names = missing + one.missing, [*names, *one.missing_keys][:NAMED]
        if len(found) > most:
            said = f"s3: more than {most:,} objects match {shorten(params.key)!r} in bucket {params.bucket}"
            raise StorageFailure(said, hint="name a longer prefix", component="S3")
    if missing:
        raise missing_objects(missing, names)
    return tuple(found[key] for key in sorted(found))


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


def nothing_matches(params: S3SourceParams, seen: int, sample: str) -> str:
    """Say why a listing of so many keys, of which `sample` is the first, has nothing for a source."""
    where = f"prefix {params.prefix!r} in bucket {params.bucket}"
    if limits := _limits(params):
        if seen:
            return f"{limits} matches none of {seen:,} objects with {where}"
    elif seen:
        return f"{where} matches only keys that end in / and stand for folders, such as {shorten(sample)!r}"
    return f"nothing matches {where}" + (f", and so {limits} matches nothing" if limits else "")


def _limits(params: S3SourceParams) -> str:
    """Name all that objects must match."""
    given = [f"glob {shorten(params.glob)!r}"] if params.glob else []
    given += [f"filter {params.filter!r}"] if params.filter else []
    return " with ".join([*given, *list_given(params.selection)])


def _empty_hint(params: S3SourceParams) -> str:
    folded = "; some servers keep \\ as /" if "\\" in params.prefix else ""
    return f"check the key, which is case-sensitive{folded}; AllowEmpty: true lets the job run without input"


def make_source(setting: Setting) -> S3Source:
    patience = source_patience(setting.config.input_sources)
    return S3Source(setting.reach, input_buckets(setting.config), patience=patience)
