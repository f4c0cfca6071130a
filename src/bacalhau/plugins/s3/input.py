"""The parameters of S3 as an input: which objects are meant, how they are shared out, and the pure checks of both."""

from bacalhau.border.globs import KeyGlob, fixed_start
from bacalhau.border.names import shorten
from bacalhau.border.patterns import PatternFault
from bacalhau.models.job.selection import Selection, list_given, list_selection_problems, selection_of
from bacalhau.models.job.spec import SpecConfig, read_params
from bacalhau.plugins.objects.digest import full_checksum
from bacalhau.plugins.objects.shares import PartitionParams, partition_problems, pattern_problems, whole_problems
from bacalhau.plugins.s3.params import S3SourceParams, bucket_problems
from bacalhau.plugins.s3.uri import MOST_KEYS

LONGEST_KEY = 1024  # bytes, by S3
_SOURCE = "invalid s3 storage params: "


class S3InputParams(S3SourceParams):
    """A source and the limits of what is taken of it (`models.job.selection.Selection`).

    A `key` with a `*` before its end is a glob over whole keys (`border.globs`). A `*` at the end, of a glob too, takes
    all that begins so, in all folders, and so does a `/` there. `manifest` is the URL of an object that has a key or
    an s3:// URL in each line, `keys` are such lines in the job itself: only objects that they name are taken.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: str = ""
    max_size: str = ""
    newer: str = ""
    older: str = ""
    manifest: str = ""
    keys: tuple[str, ...] = ()

    @property
    def buckets(self) -> tuple[str, ...]:
        """All buckets that are read."""
        return (self.bucket, split_url(self.manifest)[0]) if self.manifest else (self.bucket,)

    @property
    def glob(self) -> str:
        key = self.key.strip()
        stem = key.rstrip("*")
        return "" if "*" not in stem else stem + ("**" if stem != key or stem.endswith("/") else "")

    @property
    def prefix(self) -> str:
        return fixed_start(self.glob) if self.glob else self.key.strip().rstrip("*")

    @property
    def is_single(self) -> bool:
        return super().is_single and not self.glob

    @property
    def selection(self) -> Selection:
        return selection_of(self)

    @property
    def is_listed(self) -> bool:
        """Objects are named one by one."""
        return bool(self.manifest or self.keys)


def read_line(line: str, bucket: str) -> str:
    """Read the key in a line of a list; "" in an empty one. Raises ValueError for an object of another bucket."""
    key = line.rstrip("\r\n") if line.strip() else ""
    if not key.startswith("s3://"):
        return key
    found, _, key = key.removeprefix("s3://").partition("/")
    if found != bucket or not key:
        raise ValueError(line)
    return key


def split_url(url: str) -> tuple[str, str]:
    """Split `s3://bucket/key`, taken as it is; "" where there is none."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return (bucket, key) if url.startswith("s3://") else ("", "")


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of an S3 input source."""
    params, problems = read_params(spec, S3InputParams)
    return [_SOURCE + text for text in (*problems, *(_source_problems(params) if params else ()))]


def check_whole(spec: SpecConfig) -> list[str]:
    """List every problem of an S3 input source of a job that runs everywhere, and so has no shares."""
    params, problems = read_params(spec, S3InputParams)
    if params:
        problems += _source_problems(params) or whole_problems(params.partition)
    return [_SOURCE + text for text in problems]


def _source_problems(params: S3InputParams) -> list[str]:
    return [
        *bucket_problems(params.bucket, params.endpoint),
        *_filter_problems(params),
        *_selection_problems(params),
        *_list_problems(params),
        *_single_problems(params),
        *partition_problems(params.partition or PartitionParams()),
    ]


def _selection_problems(params: S3InputParams) -> list[str]:
    found = list_selection_problems(params)
    if params.glob:
        try:
            KeyGlob(params.glob)
        except PatternFault as e:
            found.append(f"key {shorten(params.key)!r} is no glob: {e}")
    given = [*list_given(params), *(["manifest"] if params.is_listed else [])]
    if params.is_single and given:
        found.append(_needs_prefix(given[0], params))
    return found


def _needs_prefix(name: str, params: S3InputParams) -> str:
    return f"{name} needs a prefix, and key {params.key!r} is one object: end the key with * or /"


def _list_problems(params: S3InputParams) -> list[str]:
    if params.manifest and params.keys:
        return ["manifest and keys are two lists of objects: give one of them"]
    if params.manifest:
        bucket, key = split_url(params.manifest)
        is_good = not bucket_problems(bucket, "") and key and not key.endswith("/")
        said = f"manifest {shorten(params.manifest)!r} is no object: write s3://BUCKET/KEY"
        return [] if is_good else [f"{said}, or give the keys themselves (Keys)"]
    if len(params.keys) > MOST_KEYS:
        cure = "put the list into a bucket, and give its URL: opt=manifest=s3://BUCKET/KEY"
        return [f"keys are {len(params.keys):,}, more than {MOST_KEYS:,}: {cure}"]
    return next(([problem] for line in params.keys if (problem := line_problem(line, params))), [])


def line_problem(line: str, params: S3InputParams) -> str:
    """Say why a line of a list names no object that can be an input; "" when it does, or is empty."""
    try:
        key = read_line(line, params.bucket)
    except ValueError:
        return f"keys have {shorten(line)!r}, which is no object of bucket {params.bucket}: an input has one bucket"
    if len(key.encode("utf-8", "surrogatepass")) > LONGEST_KEY:
        return f"keys have {shorten(line)!r}, which is longer than a key can be: {LONGEST_KEY} bytes"
    if key and not key.startswith(params.prefix):
        return f"keys have {shorten(key)!r}, which does not begin with {params.prefix!r}: shorten the input's key"
    return ""


def _filter_problems(params: S3InputParams) -> list[str]:
    if not params.filter:
        return []
    found = pattern_problems("filter", params.filter)
    if params.is_single:
        found.append(_needs_prefix("filter", params))
    return found


def _single_problems(params: S3InputParams) -> list[str]:
    found = []
    if not params.is_single:
        given = ["versionID"] if params.version_id else []
        given += ["checksumSHA256"] if params.checksum_sha256 and not params.mark else []
        found += [f"{name} needs one object, and key {params.key!r} is a prefix" for name in given]
    if params.checksum_sha256:
        try:
            full_checksum(params.checksum_sha256)
        except ValueError:
            found.append(
                f"checksumSHA256 {params.checksum_sha256!r} is no SHA-256: write it as base64 or as 64 hex digits"
            )
    return found
