"""Listing an S3 source page by page, so that a million objects are never in memory together.

A first page that is not the last one leads to a look at the folders of the prefix. Where these are a handful, each is
listed by itself, side by side with the others, because a server gives one page after the other within one listing. Of a
glob only those folders are listed that may hold a match, from where the glob's next fixed part ends.
"""

import asyncio
from typing import NamedTuple

import msgspec

from bacalhau.border.globs import KeyGlob
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.wire import decode, encode
from bacalhau.plugins.objects.choosing import Chooser
from bacalhau.plugins.objects.keys import LONG_KEYS, Listed
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client
from bacalhau.plugins.s3.operation import Page, list_page, list_query
from bacalhau.plugins.s3.params import S3SourceParams
from bacalhau.ports.storage import ListedPage

MOST_FOLDERS = 256  # listed side by side; more of them may be nearly empty, and then one listing is quicker
FEWEST_FOLDERS = 2


class Mark(NamedTuple):
    """A place in a listing: all that begins with `prefix`, from the server's `token` or after the key `start`. The
    listing began at `made` (Unix ns), from which ages count back on all its pages.
    """

    prefix: str
    token: str = ""
    start: str = ""
    made: int = 0

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


class Divided(NamedTuple):
    """A listing by folders: the objects beside them, and the places at which the folders are listed."""

    objects: list[Listed]
    following: tuple[Mark, ...]


class Lister:
    """Lists the objects that a source names by a prefix. `seen` counts the keys that were listed so far, and `sample`
    is the first of them.
    """

    def __init__(self, client: S3Client, address: BucketAddress, params: S3SourceParams) -> None:
        self._client, self._address, self._params = client, address, params
        self._glob = KeyGlob(params.glob) if params.glob else None
        self.seen, self.sample = 0, ""

    async def page(self, mark: Mark) -> ListedPage:
        """List the page at a mark. Raises StorageFailure."""
        page = await self._ask(list_query(mark.prefix, mark.token, mark.start))
        following: tuple[Mark, ...] = (mark._replace(token=page.following, start=""),) if page.following else ()
        objects = page.objects
        if following and mark.is_first and (divided := await self._divide(mark)) is not None:
            objects, following = divided
            self.seen += 0 if following or objects else len(page.objects)
        elif sum(len(each.key) for each in objects) > LONG_KEYS and len(objects) > 1:
            objects = objects[: len(objects) // 2]
            following = (mark._replace(token="", start=objects[-1].key),)
        self.seen += len(objects)
        self.sample = self.sample or next((each.key for each in page.objects), "")
        made = mark.made or now_ns()
        objects = [each for each in objects if each.key != self._params.mark]
        entries = await asyncio.to_thread(Chooser(self._params, made).choose, objects)
        return ListedPage(entries, tuple(each._replace(made=made).text for each in following))

    async def _ask(self, query: tuple[tuple[str, str], ...]) -> Page:
        return await list_page(self._client, Request(self._address, "GET", "", query))

    async def _divide(self, mark: Mark) -> Divided | None:
        """Look for folders below a prefix. Return the places where each of them is listed, and the objects beside them;
        None where it does not pay.
        """
        page = await self._ask(list_query(mark.prefix, delimiter="/"))
        if page.following or not all(folder.startswith(mark.prefix) for folder in page.folders):
            return None
        starts = page.folders if self._glob is None else tuple(filter(None, map(self._glob.narrow, page.folders)))
        is_less = self._glob is not None and starts != page.folders
        if len(starts) > MOST_FOLDERS or (len(starts) < FEWEST_FOLDERS and not is_less):
            return None
        return Divided(page.objects, tuple(Mark(start, made=mark.made) for start in starts))
