"""Listing an S3 source page by page, so that a million objects are never in memory together.

A first page that is not the last one leads to a look at the folders of the prefix. Where these are a handful, each is
listed by itself, side by side with the others, because a server gives one page after the other within one listing.
"""

import asyncio
from typing import NamedTuple

import msgspec

from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.wire import decode, encode
from bacalhau.plugins.objects.keys import choose_entries
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client
from bacalhau.plugins.s3.operation import Page, list_page, list_query
from bacalhau.plugins.s3.params import S3SourceParams
from bacalhau.ports.storage import ListedPage

MOST_FOLDERS = 256  # listed side by side; more of them may be nearly empty, and then one listing is quicker
FEWEST_FOLDERS = 2
LONG_KEYS = 300_000  # characters of the keys of a page, which travels in a message of 1 MiB


class Mark(NamedTuple):
    """A place in a listing: all that begins with `prefix`, from the server's `token` or after the key `start`."""

    prefix: str
    token: str = ""
    start: str = ""

    @property
    def text(self) -> str:
        return encode(self).decode()

    @property
    def is_first(self) -> bool:
        return not (self.token or self.start)


def read_mark(text: str) -> Mark:
    """Read the token of a page. Raises StorageFailure when it is none."""
    try:
        return decode(text.encode(), Mark)
    except msgspec.DecodeError as e:
        raise StorageFailure(f"{text!r} is not a place in a listing", component="S3") from e


class Lister:
    """Lists the objects that a source names by a prefix."""

    def __init__(self, client: S3Client, address: BucketAddress, params: S3SourceParams) -> None:
        self._client, self._address, self._params = client, address, params

    async def page(self, mark: Mark) -> ListedPage:
        """List the page at a mark. Raises StorageFailure."""
        page = await self._ask(list_query(mark.prefix, mark.token, mark.start))
        following: tuple[Mark, ...] = (Mark(mark.prefix, page.following),) if page.following else ()
        objects = page.objects
        if following and mark.is_first and (divided := await self._divide(mark.prefix)):
            page, objects = divided, divided.objects
            following = tuple(Mark(folder) for folder in divided.folders)
        elif sum(len(each.key) for each in objects) > LONG_KEYS and len(objects) > 1:
            objects = objects[: len(objects) // 2]
            following = (Mark(mark.prefix, start=objects[-1].key),)
        params = self._params
        entries = await asyncio.to_thread(choose_entries, params.bucket, params.prefix, params.filter, objects)
        return ListedPage(entries, tuple(each.text for each in following))

    async def _ask(self, query: tuple[tuple[str, str], ...]) -> Page:
        return await list_page(self._client, Request(self._address, "GET", "", query))

    async def _divide(self, prefix: str) -> Page | None:
        """Look for folders below a prefix. Return the page that names them all, and the objects beside them."""
        page = await self._ask(list_query(prefix, delimiter="/"))
        is_good = not page.following and FEWEST_FOLDERS <= len(page.folders) <= MOST_FOLDERS
        return page if is_good and all(folder.startswith(prefix) for folder in page.folders) else None
