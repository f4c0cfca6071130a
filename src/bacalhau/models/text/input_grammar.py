"""`-i/--input`: `URI[:TARGET][,opt=name=value]...` or `src=URI,dst=TARGET`, one flag one input source.

A field that begins with `scheme://` is a URI even when it has `=`; names of options are case-sensitive, hosts keep
their case.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import Field, host_and_path, parse_bool, scheme_of, split_fields

DEFAULT_TARGET = "/inputs"
_FORMS = "write s3://bucket/key, ipfs://CID, https://host/file or file:///path, followed by :/target"
_HOST_WITH_PORT = re.compile(r"https?://[^/]*$")

_S3_OPTIONS = {
    "endpoint": "Endpoint",
    "region": "Region",
    "filter": "Filter",
    **dict.fromkeys(("versionID", "version-id", "version_id"), "VersionID"),
    **dict.fromkeys(
        ("checksum-256", "checksum256", "checksum_256", "checksum-sha256", "checksumsha256", "checksum_sha256"),
        "ChecksumSHA256",
    ),
}
_LOCAL_OPTIONS = {
    **dict.fromkeys(("rw", "read-write", "read_write", "readwrite"), True),
    **dict.fromkeys(("ro", "read-only", "read_only", "readonly"), False),
}


def parse_input(text: str, default: str = DEFAULT_TARGET) -> InputSource:
    """One flag value as an input source, mounted at `default` where it does not say. Raises BadRequest."""
    source, target = "", default
    options: dict[str, str] = {}
    for field in split_fields(text, "storage"):
        if field.key == "":
            source, target = _positional(field.value, default)
        elif field.key in ("src", "source"):
            source = _bare(field.value)
        elif field.key in ("dst", "target", "destination"):
            target = _bare(field.value)
        elif field.key in ("opt", "option"):
            _add_option(options, field)
        else:
            raise BadRequest(
                f"unexpected key {field.key} in field {field.text}", hint="keys are src, dst and opt; " + _FORMS
            )
    if not target:
        raise BadRequest(f"input source is missing a target: {text}", hint=_FORMS)
    return InputSource(source=_source(source, options), alias=source, target=target)


def _bare(text: str) -> str:
    return text.strip(" \"'")


def _add_option(options: dict[str, str], field: Field) -> None:
    name, _, value = field.value.partition("=")
    if name:
        options[name] = value


def _positional(text: str, default: str) -> tuple[str, str]:
    """Split at the last colon after the scheme, unless that colon begins a port."""
    scheme, mark, rest = text.partition("://")
    source, colon, target = rest.rpartition(":")
    if not mark:
        source, colon, target = text.rpartition(":")
        return _bare(source if colon else text), _bare(target) or default
    uri = f"{scheme}://{source}"
    is_port = _HOST_WITH_PORT.fullmatch(uri) and re.match(r"\d+(/|$)", target)
    if not colon or is_port:
        return _bare(text), default
    return _bare(uri), _bare(target) or default


def _source(uri: str, options: dict[str, str]) -> SpecConfig:
    scheme = scheme_of(uri)
    if scheme in ("git", "gitlfs"):
        raise BadRequest(
            f"unsupported type: {scheme}",
            hint="clone the repository first and bring its files from S3, IPFS, a URL or the node's disk",
        )
    make = _MAKERS.get(scheme)
    if make is None:
        raise BadRequest(f"unknown storage schema: {scheme or f'none in {uri!r}'}", hint=_FORMS)
    return make(uri, options)


def _known(options: Mapping[str, str], allowed: Mapping[str, Any], storage: str) -> None:
    for name in options:
        if name not in allowed:
            cure = f"options are {', '.join(allowed)}" if allowed else f"storage {storage} has no options"
            raise BadRequest(f'unknown option "{name}" for storage {storage}', hint=cure)


def _s3(uri: str, options: dict[str, str]) -> SpecConfig:
    _known(options, _S3_OPTIONS, "s3")
    bucket, key = host_and_path(uri)
    if not bucket:
        raise BadRequest(
            "invalid s3 storage params: bucket cannot be empty", hint=f"write s3://BUCKET/KEY in place of {uri}"
        )
    params = dict.fromkeys(("Bucket", "Key", "Filter", "Region", "Endpoint", "VersionID", "ChecksumSHA256"), "")
    params |= {_S3_OPTIONS[name]: value for name, value in options.items()}
    return SpecConfig(type="s3", params=params | {"Bucket": bucket, "Key": key.lstrip("/")})


def _ipfs(uri: str, options: dict[str, str]) -> SpecConfig:
    _known(options, {}, "ipfs")
    cid, path = host_and_path(uri)
    if not cid:
        raise BadRequest("invalid ipfs params. cid cannot be empty", hint=f"write ipfs://CID in place of {uri}")
    if path.strip("/"):
        raise BadRequest(
            f"{uri} has a path after the CID",
            hint=f"name the whole object, ipfs://{cid}, and use {path} inside the job",
        )
    return SpecConfig(type="ipfs", params={"CID": cid})


def _url(uri: str, options: dict[str, str]) -> SpecConfig:
    _known(options, {}, "urlDownload")
    host, slash, _ = re.split(r"[?#]", uri.partition("://")[2], maxsplit=1)[0].partition("/")
    if not host or not slash:
        raise BadRequest(f"invalid url storage params: URL must end with a file name: {uri}", hint=_FORMS)
    return SpecConfig(type="urlDownload", params={"URL": uri})


def _local(uri: str, options: dict[str, str]) -> SpecConfig:
    _known(options, _LOCAL_OPTIONS, "local")
    host, path = host_and_path(uri)
    if host or not path:
        raise BadRequest(f"local path must be absolute: {uri}", hint=f"write file:///{host}{path}")
    write = False
    for name, value in options.items():
        write = parse_bool(value, "read-write") is _LOCAL_OPTIONS[name]
    return SpecConfig(type="local", params={"SourcePath": path, "ReadWrite": write})


_MAKERS: dict[str, Callable[[str, dict[str, str]], SpecConfig]] = {
    "s3": _s3,
    "ipfs": _ipfs,
    "http": _url,
    "https": _url,
    "file": _local,
}
