"""The parameters of S3's publishers and results, with which those of inputs begin, and their pure checks."""

import re
from typing import Any

import msgspec

from bacalhau.lib.wire import Model, always
from bacalhau.lib.written import truth_of
from bacalhau.models.job.overlap import PublisherUse
from bacalhau.models.job.selection import Selection
from bacalhau.models.job.spec import SpecConfig, read_params
from bacalhau.plugins.objects.digest import is_composite
from bacalhau.plugins.objects.results import key_problems, overlap_problems
from bacalhau.plugins.objects.rules import ENDPOINT
from bacalhau.plugins.objects.shares import PartitionParams
from bacalhau.plugins.s3.bucket import BucketAddress, find_bucket
from bacalhau.plugins.s3.settings import Settings

_PUBLISHER = "invalid s3 params. "
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
MARK = "_bacalhau/manifest.json"  # below the key of a plain result


class S3SourceParams(Model):
    """Objects as results name them, and inputs before they have more words (`plugins.s3.input`).

    `key` is an object, `prefix/`, `prefix*` or "" (the whole bucket); `checksum_sha256` as written, see
    `full_checksum`, is that of the object, or with `prefix/` that of the mark of a plain result. `writable` (ours): the
    task gets a copy of its own, and not what its node's cache holds.
    """

    bucket: str = always(factory=str)
    key: str = always(factory=str)
    filter: str = always(factory=str)
    region: str = always(factory=str)
    endpoint: str = always(factory=str)
    version_id: str = always(factory=str)
    checksum_sha256: str = msgspec.field(default_factory=lambda: "", name="ChecksumSHA256")
    partition: PartitionParams | None = always(factory=PartitionParams)
    allow_empty: bool = False
    requester_pays: bool = False
    writable: bool = False

    def place(self, settings: Settings) -> BucketAddress:
        return find_bucket(settings, self.bucket, self.region, self.endpoint, is_paying=self.requester_pays)

    @property
    def prefix(self) -> str:
        """The key without white space around it and without one trailing `*`."""
        return self.key.strip().removesuffix("*")

    @property
    def is_single(self) -> bool:
        """Names one object rather than a prefix."""
        key = self.key.strip()
        return bool(key) and not key.endswith(("*", "/"))

    @property
    def mark(self) -> str:
        """The key of the mark of a complete plain result, which a folder with a checksum stands for; "" elsewhere."""
        is_folder = self.key.strip().endswith("/") and not self.glob
        is_marked = is_folder and self.checksum_sha256 and not is_composite(self.checksum_sha256)
        return self.prefix + MARK if is_marked else ""

    @property
    def glob(self) -> str:
        """The pattern of whole keys that the key stands for; "" where it is no pattern."""
        return ""

    @property
    def selection(self) -> Selection:
        """The limits of names, sizes and dates."""
        return Selection()


class S3PublisherParams(Model):
    """`encoding` gzip (one archive) or plain (one object a file); `compress` is the older spelling of the
    same choice. `overwrite` (ours): results that take the same key may replace one another.
    """

    bucket: str = ""
    key: str = ""
    region: str = ""
    endpoint: str = ""
    encoding: str = ""
    compress: bool | str | None = None
    requester_pays: bool = False
    overwrite: bool = False

    def place(self, settings: Settings) -> BucketAddress:
        return find_bucket(settings, self.bucket, self.region, self.endpoint, is_paying=self.requester_pays)

    @property
    def is_plain(self) -> bool:
        if self.encoding:
            return self.encoding.strip().lower() == "plain"
        return truth_of(self.compress) is False


def check_overlap(use: PublisherUse) -> list[str]:
    """List the results of a job that would take the same key, unless its publisher says that they may."""
    params, _ = read_params(use.publisher, S3PublisherParams)
    if params is None or params.overwrite:
        return []
    return overlap_problems("s3", params.key, use)


class LinkedParams(Model):
    """The result that an orchestrator signs links to the objects of; both "" where it signs none."""

    job_id: str = ""
    execution_id: str = ""


class PreSignedParams(Model):
    """A result as the orchestrator hands it out."""

    source_spec: S3SourceParams = always(factory=S3SourceParams)
    pre_signed_url: str = msgspec.field(default_factory=lambda: "", name="PreSignedURL")
    managed: bool = always(factory=bool)


def check_publisher(spec: SpecConfig) -> list[str]:
    """List every problem of an S3 publisher."""
    params, problems = read_params(spec, S3PublisherParams)
    if params:
        problems += bucket_problems(params.bucket, params.endpoint)
        problems += key_problems(params.key) + _encoding_problems(params)
    return [_PUBLISHER + text for text in problems]


def bucket_problems(bucket: str, endpoint: str) -> list[str]:
    """List what is wrong with the name of a bucket and the URL of its server."""
    found = []
    if not bucket:
        found.append("bucket cannot be empty")
    elif not _BUCKET.fullmatch(bucket):
        found.append(f"bucket {bucket!r} is not a bucket name: letters, digits, dots and dashes only")
    if endpoint and not ENDPOINT.fullmatch(endpoint):
        found.append(f"endpoint {endpoint!r} is not a URL: write it as https://host or http://host:port")
    return found


def _encoding_problems(params: S3PublisherParams) -> list[str]:
    encoding, compress = params.encoding.strip().lower(), truth_of(params.compress)
    given = "" if params.compress is None else str(params.compress).strip()
    found = []
    if encoding not in ("", "gzip", "plain"):
        found.append(f"encoding must be either 'plain' or 'gzip', not {params.encoding!r}")
    if given and compress is None:
        found.append(f"compress must be true or false, not {params.compress!r}")
    elif encoding and given and (encoding == "gzip") != compress:
        found.append(f"encoding={encoding} contradicts compress={given.lower()}: give one of them")
    return found


def is_archive(key: str) -> bool:
    """A published archive, rather than the prefix of a plain result."""
    return key.endswith((".tar.gz", ".tgz"))


def result_spec(params: dict[str, Any]) -> SpecConfig:
    """A published result as type s3 with every field of the wire present."""
    empty = msgspec.to_builtins(S3SourceParams())
    return SpecConfig(type="s3", params=empty | params)
