"""The parameters of sources, publishers and results in a cloud, and their pure checks at submission."""

import re
from typing import NamedTuple

import msgspec

from bacalhau.border.globs import KeyGlob, fixed_start
from bacalhau.border.names import shorten
from bacalhau.border.patterns import PatternFault
from bacalhau.lib.wire import Model
from bacalhau.models.job.selection import Selection, list_selection_problems, selection_of
from bacalhau.plugins.objects.digest import full_checksum, is_composite
from bacalhau.plugins.objects.results import key_problems
from bacalhau.plugins.objects.rules import ENDPOINT
from bacalhau.plugins.objects.shares import PartitionParams, partition_problems, pattern_problems

_BUCKET = re.compile(r"[a-z0-9$][a-z0-9._-]{1,220}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_ENCODINGS = ("", "gzip", "plain")


class Place(NamedTuple):
    """A bucket or container. `endpoint` "" is the cloud itself, `account` "" the one of this machine's environment.

    `is_anonymous`: credentials are not to be used.
    """

    bucket: str
    endpoint: str = ""
    account: str = ""
    is_anonymous: bool = False


class InCloud(Model):
    """The parameters that all have. `endpoint` is the URL of a server that speaks the cloud's protocol, `account` is
    Azure's.
    """

    bucket: str = ""
    key: str = ""
    endpoint: str = ""
    account: str = ""

    @property
    def place(self) -> Place:
        return Place(self.bucket, self.endpoint.rstrip("/"), self.account)


class SourceParams(InCloud):
    """`key` is an object, `prefix/`, `prefix*`, a glob or "" (the whole bucket). The last fields are a `Selection`.

    `checksum_sha256` is that of the one object, as written. `writable`: the task gets a copy of its own, and not what
    its node's cache holds.
    """

    filter: str = ""
    anonymous: bool = False
    allow_empty: bool = False
    partition: PartitionParams | None = None
    checksum_sha256: str = msgspec.field(default="", name="ChecksumSHA256")
    writable: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: str = ""
    max_size: str = ""
    newer: str = ""
    older: str = ""

    @property
    def place(self) -> Place:
        return Place(self.bucket, self.endpoint.rstrip("/"), self.account, self.anonymous)

    @property
    def glob(self) -> str:
        """The key where it is a glob, "" where one `*` at most stands at its end."""
        key = self.key.strip()
        return key if fixed_start(key) not in (key, key.removesuffix("*")) else ""

    @property
    def selection(self) -> Selection:
        return selection_of(self)

    @property
    def prefix(self) -> str:
        """The key without white space around it and without what makes it a glob."""
        return fixed_start(self.key.strip())

    @property
    def is_single(self) -> bool:
        """Names one object rather than a prefix."""
        key = self.key.strip()
        return bool(key) and not self.glob and not key.endswith(("*", "/"))


class PublisherParams(InCloud):
    """`encoding` gzip (one archive) or plain (one object a file). `overwrite`: results that take the same key may
    replace one another.
    """

    encoding: str = ""
    overwrite: bool = False

    @property
    def is_plain(self) -> bool:
        return self.encoding.strip().lower() == "plain"


class ResultParams(InCloud):
    """A published result: an archive, whose base64 SHA-256 is `digest`, or the prefix of plain files."""

    digest: str = ""

    @property
    def is_archive(self) -> bool:
        return not self.key.endswith("/")


def place_problems(params: InCloud, word: str) -> list[str]:
    """List what is wrong with the place of a source or a publisher; `word` is bucket or container."""
    place, found = params.place, []
    if not place.bucket:
        found.append(f"{word} cannot be empty")
    elif not _BUCKET.fullmatch(place.bucket):
        cure = "lower-case letters, digits, dashes, dots and _ only, three at least"
        found.append(f"{word} {shorten(place.bucket)!r} is not the name of a {word}: {cure}")
    if place.endpoint and not ENDPOINT.fullmatch(place.endpoint):
        cure = "write it as https://host or http://host:port"
        found.append(f"endpoint {shorten(place.endpoint)!r} is not a URL: {cure}")
    if place.account and not _ACCOUNT.fullmatch(place.account):
        cure = "3 to 24 lower-case letters and digits"
        found.append(f"account {shorten(place.account)!r} is not the name of a storage account: {cure}")
    return found


def source_problems(params: SourceParams, word: str) -> list[str]:
    """List what is wrong with a source."""
    found = place_problems(params, word)
    if params.glob:
        try:
            KeyGlob(params.glob)
        except PatternFault as e:
            found.append(f"key {shorten(params.key)!r} is not a glob: {e}")
    if params.filter:
        found += pattern_problems("filter", params.filter)
    if params.filter and params.is_single:
        cure = "end the key with * or /"
        found.append(f"filter needs a prefix, and key {shorten(params.key)!r} is one object: {cure}")
    found += list_selection_problems(params) + partition_problems(params.partition or PartitionParams())
    return found + _checksum_problems(params)


def _checksum_problems(params: SourceParams) -> list[str]:
    text = params.checksum_sha256
    if not text:
        return []
    found = []
    if not params.is_single:
        found.append(f"checksumSHA256 needs one object, and key {shorten(params.key)!r} is a prefix")
    try:
        is_good = not is_composite(full_checksum(text))
    except ValueError:
        is_good = False
    cure = "write it as base64 or as 64 hex digits"
    return found if is_good else [*found, f"checksumSHA256 {shorten(text)!r} is no SHA-256: {cure}"]


def publisher_problems(params: PublisherParams, word: str) -> list[str]:
    """List what is wrong with a publisher."""
    found = place_problems(params, word) + key_problems(params.key)
    if params.encoding.strip().lower() not in _ENCODINGS:
        found.append(f"encoding must be either 'plain' or 'gzip', not {shorten(params.encoding)!r}")
    return found
