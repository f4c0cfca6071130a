"""The objects that a source names, page by page."""

import asyncio
from contextlib import suppress
from functools import partial

from bacalhau.border.names import shorten
from bacalhau.border.patterns import Pattern
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Effort
from bacalhau.models.job.selection import Selection
from bacalhau.plugins.clouds.bucket import Bucket, Found
from bacalhau.plugins.clouds.failure import AbsentObject, AccessRefused
from bacalhau.plugins.clouds.params import SourceParams
from bacalhau.plugins.objects.choosing import Chooser
from bacalhau.plugins.objects.digest import full_checksum
from bacalhau.plugins.objects.keys import LONG_KEYS, folder_of, safe_path
from bacalhau.ports.storage import Entry, ListedPage

_HEADS_AT_ONCE = 16
_NOBODYS_KEY = "is-this-a-store"


class Lister:
    """Lists the objects of a source; `effort` tries again what failed for a while."""

    def __init__(self, bucket: Bucket, params: SourceParams, effort: Effort) -> None:
        self._bucket, self._params, self._effort = bucket, params, effort
        self._keep = Pattern(params.filter) if params.filter else None
        self._chooser = Chooser(params, now_ns())

    async def page(self, after: str) -> ListedPage:
        """List the objects after a key; `following` is empty on the last page."""
        if self._params.is_single:
            return ListedPage((await self._single(),))
        found = await self._effort.persist(partial(self._bucket.page, self._params.prefix, after))
        if not found and not after:
            await self._require_store()
        while sum(len(each.key) for each in found) > LONG_KEYS and len(found) > 1:
            found = found[: len(found) // 2]
        entries = await asyncio.to_thread(self._choose, found)
        return ListedPage(await self._without_folders(entries), (found[-1].key,) if found else ())

    async def _require_store(self) -> None:
        """Raise StorageFailure where something else than a store answers: obstore takes any page for an empty listing.
        Of an object, it wants more than a status.
        """
        with suppress(AbsentObject, AccessRefused):
            await self._effort.persist(partial(self._bucket.head, _NOBODYS_KEY))

    async def _single(self) -> Entry:
        key = self._params.key.strip()
        try:
            return self._compared(self._entry(await self._effort.persist(partial(self._bucket.head, key))))
        except AbsentObject:
            await self._effort.persist(partial(self._bucket.page, key, ""))  # says so when there is no bucket
            raise

    def _compared(self, entry: Entry) -> Entry:
        """Pin an object to the digest that the job names. Raises StorageFailure where the store keeps another one."""
        if not (given := self._params.checksum_sha256):
            return entry
        expected = full_checksum(given)
        if entry.checksum and entry.checksum != expected:
            place = self._bucket.cloud.at(self._bucket.place)
            said = f"checksum mismatch for object {entry.key} in {place}, expected {expected}, got {entry.checksum}"
            raise self._bucket.cloud.fault(said, "the object is not the one that was asked for")
        return entry._replace(checksum=expected)

    def _choose(self, found: list[Found]) -> list[Entry]:
        return [self._entry(each) for each in found if self._takes(each)]

    def _takes(self, each: Found) -> bool:
        if self._keep is not None and not self._keep.search(each.key.removeprefix(self._params.prefix)):
            return False
        return self._chooser.takes(each.key, each.size, each.modified)

    def _entry(self, each: Found) -> Entry:
        params = self._params
        path = safe_path(params.bucket, each.key, folder_of(params.prefix), self._bucket.cloud.kind)
        return Entry(each.key, path, each.size, each.etag, each.version, each.digest)

    async def _without_folders(self, entries: list[Entry]) -> tuple[Entry, ...]:
        """Leave out what stands for a folder. obstore takes the slash off such a key, so of what is empty it must be
        asked whether there is an object of that name.
        """

        async def is_there(entry: Entry) -> bool:
            try:
                await self._effort.persist(partial(self._bucket.head, entry.key))
            except AbsentObject:
                return False
            return True

        empty = [entry for entry in entries if not entry.size]
        answers = await gather_bounded(_HEADS_AT_ONCE, [partial(is_there, entry) for entry in empty])
        gone = {entry.key for entry, there in zip(empty, answers, strict=True) if not there}
        return tuple(entry for entry in entries if entry.key not in gone)


async def list_all(lister: Lister, most: int, too_many: StorageFailure) -> tuple[Entry, ...]:
    """List all objects of a source. Raises `too_many` for more than `most` of them."""
    page = await lister.page("")
    entries = list(page.entries)
    while page.following:
        page = await lister.page(page.following[0])
        entries += page.entries
        if len(entries) > most:
            raise too_many
    return tuple(entries)


def nothing_matches(bucket: Bucket, params: SourceParams) -> StorageFailure:
    """Make the error of a source that names no object."""
    limits = " that the filter and the limits leave" if params.filter or params.selection != Selection() else ""
    said = f"nothing matches {shorten(params.key)!r} in {bucket.cloud.at(bucket.place)}{limits}"
    hint = "check the key, which is case-sensitive; AllowEmpty: true lets the job run without input"
    return bucket.cloud.fault(said, hint)
