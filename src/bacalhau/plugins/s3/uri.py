"""S3 on the command line: `s3://bucket/key` as an input, and as a publisher also `s3,opt=bucket=B,opt=key=K`."""

from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import host_and_path, parse_bool, refuse_options, scheme_of

_INPUT_OPTIONS = {
    "endpoint": "Endpoint",
    "region": "Region",
    "filter": "Filter",
    **dict.fromkeys(("versionID", "version-id", "version_id"), "VersionID"),
    **dict.fromkeys(
        ("checksum-256", "checksum256", "checksum_256", "checksum-sha256", "checksumsha256", "checksum_sha256"),
        "ChecksumSHA256",
    ),
}
_SWITCHES = {"requester-pays": "RequesterPays", "overwrite": "Overwrite", "writable": "Writable"}
_PUBLISHER_OPTIONS = ("bucket", "key", "endpoint", "region", "encoding", "compress", "requester-pays", "overwrite")
_FORM = "write s3://bucket/key, with {date}, {time}, {jobID} or {executionID} in the key where wanted"


def read_input(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `s3://bucket/key` with its options as an input source. Raises BadRequest."""
    refuse_options(options, (*_INPUT_OPTIONS, "requester-pays", "writable"), "storage s3")
    bucket, key = host_and_path(uri)
    if not bucket:
        raise BadRequest(
            "invalid s3 storage params: bucket cannot be empty", hint=f"write s3://BUCKET/KEY in place of {uri}"
        )
    params = dict.fromkeys(("Bucket", "Key", "Filter", "Region", "Endpoint", "VersionID", "ChecksumSHA256"), "")
    params |= {_INPUT_OPTIONS[name]: value for name, value in options.items() if name in _INPUT_OPTIONS}
    return SpecConfig(type="s3", params=params | _switches(options) | {"Bucket": bucket, "Key": key.lstrip("/")})


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
