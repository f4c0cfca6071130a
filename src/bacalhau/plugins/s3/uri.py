"""S3 on the command line: `s3://bucket/key` as an input, and as a publisher also `s3,opt=bucket=B,opt=key=K`."""

from pathlib import Path
from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.units import show_bytes
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import (
    SELECTION_OPTIONS,
    host_and_path,
    parse_bool,
    read_selection,
    refuse_options,
    scheme_of,
)
from bacalhau.plugins.objects.options import CHECKSUM_OPTIONS, PARTITION_OPTIONS, read_partition

MOST_KEYS = 10_000  # that a job lists itself, all of which travel with it
LONGEST_FILE = 1 << 20  # bytes of a list on the disk of a client
_INPUT_OPTIONS = {
    "endpoint": "Endpoint",
    "region": "Region",
    "filter": "Filter",
    **dict.fromkeys(("versionID", "version-id", "version_id"), "VersionID"),
    **dict.fromkeys(CHECKSUM_OPTIONS, "ChecksumSHA256"),
}
_KNOWN = (
    *_INPUT_OPTIONS,
    "requester-pays",
    "writable",
    *SELECTION_OPTIONS,
    "manifest",
    "partition",
    *PARTITION_OPTIONS,
)
_SWITCHES = {"requester-pays": "RequesterPays", "overwrite": "Overwrite", "writable": "Writable"}
_PUBLISHER_OPTIONS = ("bucket", "key", "endpoint", "region", "encoding", "compress", "requester-pays", "overwrite")
_FORM = "write s3://bucket/key, with {date}, {time}, {jobID} or {executionID} in the key where wanted"


def read_input(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `s3://bucket/key` with its options as an input source. Raises BadRequest."""
    refuse_options(options, _KNOWN, "storage s3")
    bucket, key = host_and_path(uri)
    if not bucket:
        raise BadRequest(
            "invalid s3 storage params: bucket cannot be empty", hint=f"write s3://BUCKET/KEY in place of {uri}"
        )
    params = dict.fromkeys(("Bucket", "Key", "Filter", "Region", "Endpoint", "VersionID", "ChecksumSHA256"), "")
    params |= {_INPUT_OPTIONS[name]: value for name, value in options.items() if name in _INPUT_OPTIONS}
    more = _switches(options) | read_selection(options) | _read_list(options) | read_partition(options)
    return SpecConfig(type="s3", params=params | more | {"Bucket": bucket, "Key": key.lstrip("/")})


def _read_list(options: dict[str, str]) -> dict[str, Any]:
    """Read where the keys are listed: in an object, or in a file here, whose lines go into the job."""
    place = options.get("manifest", "")
    if not place or scheme_of(place):
        return {"Manifest": place} if place else {}
    try:
        with Path(place).open("rb") as file:
            text = file.read(LONGEST_FILE + 1)
        lines = text.decode().splitlines()
    except (OSError, UnicodeDecodeError) as e:
        why = (e.strerror or e) if isinstance(e, OSError) else "it is not UTF-8"
        hint = "write opt=manifest=s3://BUCKET/KEY, or the path of a text file with one key a line"
        raise BadRequest(f"manifest {place} cannot be read: {why}", hint=hint) from e
    if len(text) > LONGEST_FILE or len(lines) > MOST_KEYS:
        said = f"manifest {place} is too long to travel with a job: more than {MOST_KEYS:,} lines"
        hint = "put it into a bucket, and write opt=manifest=s3://BUCKET/KEY"
        raise BadRequest(f"{said} or {show_bytes(LONGEST_FILE)}", hint=hint)
    if not (keys := [line for line in lines if line.strip()]):
        raise BadRequest(f"manifest {place} names no key", hint="write one key or s3:// URL in each line")
    return {"Keys": keys}


def read_publisher(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `s3://bucket/key`, or the bare `s3`, with its options as a publisher. Raises BadRequest.

    Parameters keep the lower-case names under which they were given.
    """
    refuse_options(options, _PUBLISHER_OPTIONS, "publisher s3")
    bucket, path = host_and_path(uri) if scheme_of(uri) else ("", "")
    params = {name: value for name, value in (("bucket", bucket), ("key", path.lstrip("/"))) if value} | options
    for name in ("bucket", "key"):
        if not params.get(name):
            raise BadRequest(f"invalid s3 params. {name} cannot be empty", hint=f"{_FORM}, in place of {uri}")
    if params.get("encoding", "gzip") not in ("gzip", "plain", ""):
        raise BadRequest(f"invalid s3 params. encoding must be either 'plain' or 'gzip', not {params['encoding']!r}")
    if "compress" in params:
        parse_bool(params["compress"], "compress")
    switches = _switches(params)
    return SpecConfig(type="s3", params={k: v for k, v in params.items() if k not in _SWITCHES} | switches)


def _switches(options: dict[str, str]) -> dict[str, Any]:
    """Read the options that are true or false, under the names of their parameters. Raises BadRequest."""
    return {name: parse_bool(options[key], key) for key, name in _SWITCHES.items() if key in options}
