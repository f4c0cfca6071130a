"""The S3 operations this project uses, each a function of a client: what is sent and what is read back."""

import asyncio
import base64
import hashlib
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

from bacalhau.border.exchange import Incoming
from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import Effort, Patience
from bacalhau.plugins.objects.keys import Listed
from bacalhau.plugins.objects.page import first_words
from bacalhau.plugins.s3.bucket import BucketAddress
from bacalhau.plugins.s3.client import Request, S3Client, Troubled, read_all
from bacalhau.plugins.s3.failure import read_trouble

DIGEST_HEADER = "x-amz-checksum-sha256"
DIGEST_METADATA = "x-amz-meta-bacalhau-sha256"  # for servers that do not keep the header above
EXECUTION_METADATA, JOB_METADATA = "x-amz-meta-bacalhau-execution", "x-amz-meta-bacalhau-job"
CHECKSUM_MODE = ("x-amz-checksum-mode", "ENABLED")

MOST_OBJECTS = 2_000_000  # in one listing, which takes some 800 MB of memory
_SIZE_DIGITS = 18
_ONCE = Patience(seconds=0.0, unheard=0.0, attempts=1)


class NotS3(StorageFailure):
    """Something else than S3 answers at an endpoint."""


class Head(NamedTuple):
    """`checksum` is the server's base64 SHA-256, composite for some multipart objects; `recorded` what we wrote beside
    the object. `modified` is the time of the last change as HTTP writes it.

    "": none.
    """

    size: int
    etag: str
    version: str
    checksum: str
    recorded: str
    content_type: str
    modified: str = ""


class Stored(NamedTuple):
    """`version` is "" in buckets without versions."""

    etag: str
    version: str


async def head(client: S3Client, address: BucketAddress, key: str, version: str = "") -> Head:
    answer = await client.call(Request(address, "HEAD", key, version_query(version), (CHECKSUM_MODE,)), read_all)
    got = answer.headers
    if not _is_marked(got):
        await _require_s3(client, address, key)
    size = int(got.get("Content-Length", "-1"))
    return Head(
        size,
        got.get("ETag", ""),
        read_version(got),
        got.get(DIGEST_HEADER, ""),
        got.get(DIGEST_METADATA, ""),
        got.get("Content-Type", ""),
        got.get("Last-Modified", ""),
    )


def _is_marked(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer has a header that S3 servers alone have. Not all of them have one."""
    return any(name.lower().startswith("x-amz-") for name in headers)


async def _require_s3(client: S3Client, address: BucketAddress, key: str) -> None:
    """Raise NotS3 where something else than S3 answers, which may well say yes to a HEAD: a listing must be XML.

    Servers may refuse a listing or not have any, so no other failure counts. A server is asked once.
    """
    if not address.endpoint or address.endpoint in client.proven:
        return
    query = (*list_query(key), ("max-keys", "1"))
    try:
        await list_page(client.under(Effort(_ONCE)), Request(address, "GET", "", query))
    except NotS3:
        raise
    except StorageFailure as e:
        if e.retryable:
            return
    client.proven.add(address.endpoint)


def version_query(version: str) -> tuple[tuple[str, str], ...]:
    return (("versionId", version),) if version else ()


def read_version(headers: Mapping[str, str]) -> str:
    version = headers.get("x-amz-version-id", "")
    return "" if version == "null" else version


async def list_objects(client: S3Client, address: BucketAddress, prefix: str, most: int) -> AsyncIterator[Listed]:
    """Everything whose key begins with `prefix`, in the server's order, over as many pages as it takes.

    Raises StorageFailure when there are more than `most`: a server can go on for ever.
    """
    token, count = "", 0
    while True:
        page = await list_page(client, Request(address, "GET", "", list_query(prefix, token)))
        for entry in page.objects:
            count += 1
            if count > most:
                said = f"s3: more than {most:,} objects begin with {shorten(prefix)!r} in bucket {address.bucket}"
                raise StorageFailure(said, hint="name a longer prefix", component="S3")
            yield entry
        if not page.following or page.following == token:
            return
        token = page.following


class Page(NamedTuple):
    """Part of a listing; `following` is the token of the next part, "" after the last one. `folders` are prefixes that
    stand for all that begins with them, where the query groups by a delimiter.
    """

    objects: list[Listed]
    following: str
    folders: tuple[str, ...] = ()


def list_query(prefix: str, token: str = "", start: str = "", delimiter: str = "") -> tuple[tuple[str, str], ...]:
    """Make the query of a listing, from the token on, or after the key `start`."""
    more = (("continuation-token", token), ("start-after", start), ("delimiter", delimiter))
    given = tuple((name, value) for name, value in more if value)
    return (("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix), *given)


async def list_page(client: S3Client, request: Request) -> Page:
    """Read one page of a listing."""
    root = (await call_xml(client, request, "ListBucketResult")).root
    return await asyncio.to_thread(_read_page, root)


class _Names(dict[str, str]):
    """The names of elements without their namespaces, each cut out once a page."""

    def __missing__(self, tag: str) -> str:
        self[tag] = tag.rpartition("}")[2]
        return self[tag]


def _read_page(root: ET.Element) -> Page:
    names = _Names()
    has = _texts(root, names)
    is_escaped = has.get("EncodingType") == "url"
    objects, folders = list[Listed](), list[str]()
    for item in root:
        if names[item.tag] == "Contents":
            found = _texts(item, names)
            key, size = found.get("Key", ""), found.get("Size", "")
            is_number = size.isdecimal() and len(size) <= _SIZE_DIGITS
            key = unquote_plus(key) if is_escaped else key
            etag, modified = found.get("ETag", ""), found.get("LastModified", "")
            objects.append(Listed(key, int(size) if is_number else -1, etag, modified))
        elif names[item.tag] == "CommonPrefixes":
            prefix = _texts(item, names).get("Prefix", "")
            folders.append(unquote_plus(prefix) if is_escaped else prefix)
    following = has.get("NextContinuationToken", "") if has.get("IsTruncated") == "true" else ""
    return Page(objects, following, tuple(folders))


def _texts(element: ET.Element, names: _Names) -> dict[str, str]:
    """Read what stands in the elements of an element, by their names; of two the first counts."""
    return {names[child.tag]: child.text or "" for child in reversed(element)}


class XmlAnswer(NamedTuple):
    """An answer of XML, parsed."""

    headers: Mapping[str, str]
    root: ET.Element


async def call_xml(client: S3Client, request: Request, wanted: str) -> XmlAnswer:
    """Do a request that is answered in XML with an element whose name begins with `wanted`: some servers leave the
    word Result off. Raises StorageFailure for any other answer.

    Servers announce success before they are done with what takes long, so a failure may come with status 200. It is
    taken as if it had come with its own status.
    """

    async def read(response: Incoming) -> XmlAnswer:
        answer = await read_all(response)
        root = await asyncio.to_thread(_parse_answer, answer.body, request.address)
        name = root.tag.rpartition("}")[2]
        if name == "Error":
            raise Troubled(read_trouble(response.status, "", answer.body))
        if not name.startswith(wanted):
            raise _not_s3(answer.body, request.address)
        return XmlAnswer(answer.headers, root)

    return await client.call(request, read)


def _parse_answer(body: bytes, address: BucketAddress) -> ET.Element:
    try:
        return ET.fromstring(body)
    except ET.ParseError as e:
        if (key := _unreadable_key(body)) is not None:
            said = (
                f"s3: {address.server} lists key {shorten(key)!r} of bucket {address.bucket} in a form that is no XML"
            )
            hint = "name a longer prefix that leaves the object out, or rename it"
            raise StorageFailure(said, hint=hint, component="S3") from e
        raise _not_s3(body, address) from e


def _unreadable_key(body: bytes) -> str | None:
    """Find the key that makes a listing unreadable: some servers escape nothing, whatever they are asked for."""
    for before in body.split(b"</Key>")[:-1]:
        key = before.rpartition(b"<Key>")[2]
        try:
            ET.fromstring(b"<Key>%b</Key>" % key)
        except ET.ParseError:
            return str(key, "utf-8", "replace")
    return None


def _not_s3(body: bytes, address: BucketAddress) -> NotS3:
    """Make the error of an endpoint where something else answers."""
    said = f"s3: {address.server} answered something that is not S3: {first_words(body)}"
    return NotS3(said, hint="check the endpoint", component="S3")


def read_text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""


def digest_text(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


async def put(client: S3Client, request: Request, digest: str) -> Stored:
    """Store a whole object as `request` says; `digest` is its base64 SHA-256, which the server checks and keeps.

    Raises NotS3 where nothing in the answer says that something was stored.
    """
    headers = (*request.headers, (DIGEST_HEADER, digest), (DIGEST_METADATA, digest))
    answer = await client.call(request._replace(headers=headers), read_all)
    if "ETag" not in answer.headers and not _is_marked(answer.headers):
        raise _not_s3(answer.body, request.address)
    return Stored(answer.headers.get("ETag", ""), read_version(answer.headers))
