"""Listing the objects that a job names one by one, in a list of its own or in an object: each is asked for.

The object with the list is read in stretches, so that a list of a million keys is never in memory, and as it was when
the first page was listed.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import NamedTuple

import msgspec

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.units import show_bytes
from bacalhau.lib.wire import decode, encode
from bacalhau.plugins.objects.choosing import Chooser
from bacalhau.plugins.objects.keys import Listed
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client, read_all
from bacalhau.plugins.s3.failure import AbsentObject
from bacalhau.plugins.s3.input import LONGEST_KEY, S3InputParams, line_problem, read_line, split_url
from bacalhau.plugins.s3.operation import head
from bacalhau.ports.storage import NAMED, ListedPage

STRETCH = 32_768  # bytes of an object that are one page: some 500 keys
LARGEST_LIST = 64 << 20  # bytes: some million keys
LINES = 500  # of a job's own list that are one page
_AT_ONCE = 32  # objects that are asked for
_LONGEST_LINE = LONGEST_KEY + 300  # with s3://bucket/ and the end of the line


class Place(NamedTuple):
    """A place in a list of keys: a line of a job's own, or a byte of an object with this `etag`. The listing began at
    `made` (Unix ns).
    """

    start: int
    etag: str
    made: int

    @property
    def text(self) -> str:
        return encode(self).decode()


class NamedLister:
    """Lists the objects that a source names one by one. `place` is where the object with the list lies."""

    def __init__(self, client: S3Client, address: BucketAddress, params: S3InputParams) -> None:
        self._client, self._address, self._params = client, address, params
        bucket, self._key = split_url(params.manifest)
        self._list = address._replace(bucket=bucket)
        self.seen = 0

    async def page(self, after: str) -> ListedPage:
        """List a page; the first one names all others. Raises StorageFailure."""
        places = [_read_place(after)] if after else await self._places()
        if not places:
            return ListedPage(())
        lines = await self._lines(places[0])
        keys = list(dict.fromkeys(filter(None, map(self._key_of, lines))))
        found = await gather_bounded(_AT_ONCE, [partial(self._find, key) for key in keys])
        missing = [key for key, each in zip(keys, found, strict=True) if each is None]
        there = [each for each in found if each is not None]
        self.seen += len(keys)
        entries = await asyncio.to_thread(Chooser(self._params, places[0].made).choose, there)
        following = tuple(each.text for each in places[1:])
        return ListedPage(entries, following, len(missing), tuple(missing[:NAMED]))

    async def _places(self) -> list[Place]:
        """Cut the list into pages."""
        now = now_ns()
        if not self._key:
            return [Place(start, "", now) for start in range(0, len(self._params.keys), LINES)]
        there = await head(self._client, self._list, self._key)
        if there.size > LARGEST_LIST:
            said = f"{self._params.manifest} has {show_bytes(there.size)}, a list at most {show_bytes(LARGEST_LIST)}"
            raise StorageFailure(f"s3: {said}", hint="make several lists of it, and an input of each", component="S3")
        etag = "" if there.etag.startswith("W/") else there.etag
        return [Place(start, etag, now) for start in range(0, there.size, STRETCH)]

    async def _lines(self, place: Place) -> Sequence[str]:
        """Read the lines that begin in the stretch at a place."""
        if not self._key:
            return self._params.keys[place.start : place.start + LINES]
        first = max(0, place.start - 1)  # with the end of the line before
        last = place.start + STRETCH + _LONGEST_LINE
        headers = (("Range", f"bytes={first}-{last}"), *((("If-Match", place.etag),) if place.etag else ()))
        answer = await self._client.call(Request(self._list, "GET", self._key, (), headers), read_all)
        body = answer.body if "Content-Range" in answer.headers else answer.body[first : last + 1]
        return cut_lines(body, place.start - first)

    def _key_of(self, line: str) -> str:
        if problem := line_problem(line, self._params):
            said = f"s3: {self._params.manifest or 'the list of keys'}: {problem}"
            raise StorageFailure(said, component="S3")
        return read_line(line, self._params.bucket)

    async def _find(self, key: str) -> Listed | None:
        try:
            found = await head(self._client, self._address, key)
        except AbsentObject:
            return None
        return Listed(key, found.size, found.etag, _iso_time(found.modified))


def cut_lines(body: bytes, before: int) -> list[str]:
    """Return the lines that begin in a stretch: `body` holds it after `before` bytes (one, or none at the very
    beginning), and what follows.
    """
    begin = body.find(b"\n") + 1 if before else 0
    if (before and not begin) or begin >= before + STRETCH:
        return []
    end = body.find(b"\n", before + STRETCH - 1)
    return body[begin : None if end < 0 else end].decode("utf-8", "replace").split("\n")


def _iso_time(text: str) -> str:
    """Write a time of HTTP as listings have it; "" for what is none."""
    with suppress(ValueError):
        return parsedate_to_datetime(text).isoformat()
    return ""


def _read_place(text: str) -> Place:
    """Read the token of a page. Raises StorageFailure when it is none."""
    try:
        return decode(text.encode(), Place)
    except msgspec.DecodeError as e:
        raise StorageFailure(f"{text!r} is not a place in a list of keys", component="S3") from e
