"""A bucket through obstore, for asynchronous code.

obstore's own coroutines end the process with an abort when the interpreter ends while one of its threads still calls
back, so its blocking functions are used, each in a thread of the bucket's own. One request bears `Patience.silence`
seconds without a byte; trying again is the business of an `Effort`.
"""

import asyncio
import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from bacalhau.border.proxies import find_proxy
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.plugins.clouds.cloud import Cloud, Endpoints, Identity
from bacalhau.plugins.clouds.failure import Scene, Stranger, translate
from bacalhau.plugins.clouds.params import Place
from bacalhau.plugins.clouds.stranger import ask_words
from bacalhau.ports.storage import Entry

THREADS = 16
DIGEST = "bacalhau_sha256"  # the metadata in which we keep the base64 SHA-256 of an object
CHUNK_BYTES = 1 << 20
PAGE_OBJECTS = 1000
_CONNECT_SECONDS = 10
_BACK = 10  # characters that are looked at before the last one of a prefix
_NO_LIMIT = timedelta(days=30)  # of a whole request: a large object may take long
T = TypeVar("T")


class Found(NamedTuple):
    """An object as the store tells of it; `digest` is the SHA-256 that we kept beside it, "" where there is none."""

    key: str
    size: int
    etag: str
    version: str
    modified: datetime | None
    digest: str = ""


class Opening(NamedTuple):
    """The beginning of an answer to a read: the object, its first bytes, and what yields the others."""

    found: Found
    first: bytes
    rest: Iterator[Any]


class Bucket:
    """A place, as one identity. Every method raises StorageFailure."""

    def __init__(self, cloud: Cloud, store: Any, place: Place, who: str, threads: ThreadPoolExecutor) -> None:
        self.cloud, self.place, self.who = cloud, place, who
        self._store, self._threads = store, threads
        self._obstore = importlib.import_module("obstore")
        self._errors = importlib.import_module("obstore.exceptions").BaseError

    async def run(self, key: str, work: Callable[..., T], *args: Any) -> T:
        """Call what blocks, about an object, in a thread. Cancelling leaves the thread to its time limits."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args))
        except (self._errors, FileNotFoundError, ValueError) as e:
            if isinstance(e, FileNotFoundError) and e.errno:
                raise
            raise await self._with_words(self._translate(key, e)) from None  # its text may hold a signature

    async def _with_words(self, failure: StorageFailure) -> StorageFailure:
        """Add to an error the first words of what is no store; for the cloud itself there is nobody to ask."""
        if not isinstance(failure, Stranger) or not self.place.endpoint:
            return failure
        words = await ask_words(f"{self.place.endpoint}/{self.place.bucket}")
        said = f"{failure.message}: {words}" if words else failure.message
        return Stranger(said, hint=failure.hint, component=failure.component)

    def _translate(self, key: str, error: Exception) -> StorageFailure:
        return translate(Scene(self.cloud, self.place, key, self.who), error)

    async def page(self, prefix: str, after: str) -> list[Found]:
        """List up to PAGE_OBJECTS objects whose keys begin with `prefix`, after the key `after`. An empty page is the
        last one.
        """
        return await self.run("", self._page, prefix, after)

    def _page(self, prefix: str, after: str) -> list[Found]:
        """The store lists folders only, so the part of a name is asked for as the place where to begin. A server that
        does not know such a place begins with the first object.
        """
        folder = prefix[: prefix.rfind("/")] if "/" in prefix else None
        chunks = self._obstore.list(self._store, folder, offset=after or _before(prefix), chunk_size=PAGE_OBJECTS)
        found: list[Found] = []
        for chunk in chunks:
            read = [_read_meta(meta) for meta in chunk]
            found = [each for each in read if each.key.startswith(prefix) and each.key > after]
            if found or any(each.key > max(prefix, after) and not each.key.startswith(prefix) for each in read):
                break
        return found

    async def head(self, key: str) -> Found:
        """Ask for one object, without its bytes."""
        return await self.run(key, self._head, key)

    def _head(self, key: str) -> Found:
        answer = self._obstore.get(self._store, key, options={"head": True})
        return _read_meta(answer.meta, answer.attributes)

    async def open(self, entry: Entry, start: int) -> Opening:
        """Begin to read an object from a byte on, as long as it is the one that was listed."""
        return await self.run(entry.key, self._open, entry, start)

    def _open(self, entry: Entry, start: int) -> Opening:
        options: dict[str, Any] = {"range": {"offset": start}} if start else {}
        if entry.etag:
            options["if_match"] = f'"{entry.etag}"'
        answer = self._obstore.get(self._store, entry.key, options=options)
        rest = iter(answer.stream(min_chunk_size=CHUNK_BYTES))
        return Opening(_read_meta(answer.meta, answer.attributes), take(rest), rest)

    async def put(self, key: str, pieces: Any, digest: str = "") -> None:
        """Store bytes, a file, or what an iterator yields. An iterator is called in a thread; what it raises ends the
        upload, and nothing can be seen of it.
        """
        attributes = {DIGEST: digest} if digest else {}
        work = partial(self._obstore.put, self._store, key, pieces, attributes=attributes, max_concurrency=3)
        await self.run(key, work)


def take(rest: Iterator[Any]) -> bytes:
    """Take the next bytes of an answer; b"" at its end."""
    return bytes(next(rest, b""))


def _before(prefix: str) -> str | None:
    """Return a key near before all that begin with a prefix, one that obstore takes; None where it is not known."""
    name = prefix[prefix.rfind("/") + 1 :]
    last = ord(name[-1]) if name else 0
    for code in range(last - 1, max(last - _BACK, 0x20), -1):
        if chr(code) not in "/\x7f" and not 0xD800 <= code <= 0xDFFF and name[:-1] + chr(code) not in (".", ".."):
            return prefix[:-1] + chr(code)
    return None


def _read_meta(meta: Any, attributes: Any = None) -> Found:
    etag, digest = (meta["e_tag"] or "").strip('"'), (attributes or {}).get(DIGEST, "")
    return Found(meta["path"], meta["size"], etag, meta["version"] or "", meta["last_modified"], digest)


async def find_place(
    cloud: Cloud, wanted: Place, trusted: Endpoints, threads: ThreadPoolExecutor
) -> tuple[Place, Identity]:
    """Find the place that parameters mean, and the credentials for it. Raises StorageFailure where its endpoint is not
    trusted, or the environment cannot be read.
    """
    said, cure = trusted.refusal(cloud, wanted)
    if said:
        raise cloud.fault(said, cure)
    return await asyncio.get_running_loop().run_in_executor(threads, cloud.find, wanted)


async def open_bucket(
    cloud: Cloud, wanted: Place, trusted: Endpoints, patience: Patience, threads: ThreadPoolExecutor
) -> Bucket:
    """Open the place that parameters mean. Raises StorageFailure as `find_place` does."""
    place, identity = await find_place(cloud, wanted, trusted, threads)
    store = await asyncio.get_running_loop().run_in_executor(threads, _open, cloud, place, identity, patience)
    return Bucket(cloud, store, place, identity.who, threads)


def _open(cloud: Cloud, place: Place, identity: Identity, patience: Patience) -> Any:
    options: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=patience.silence),
        "timeout": _NO_LIMIT,
        "allow_http": place.endpoint.lower().startswith("http://"),
    }
    if place.endpoint and (proxy := find_proxy(place.endpoint)):
        options["proxy_url"] = proxy
    try:
        return cloud.open(place, identity.config, options, {"max_retries": 0})
    except (importlib.import_module("obstore.exceptions").BaseError, ValueError, OSError) as e:
        said = f"the settings of this machine for {cloud.title} cannot be used: {type(e).__name__}"
        raise cloud.fault(said, cloud.cure) from e


def make_threads(cloud: Cloud) -> ThreadPoolExecutor:
    """Make the threads of one source, publisher or download."""
    return ThreadPoolExecutor(THREADS, cloud.kind)
