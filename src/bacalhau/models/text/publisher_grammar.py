"""`-p/--publisher`: `ipfs`, `local`, `s3://bucket/key[,opt=name=value]...` or `s3,opt=bucket=B,opt=key=K`.

Parameters keep the lower-case names under which they were given; what they mean is the publisher's business.
"""

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import host_and_path, parse_bool, scheme_of, split_fields

_S3_OPTIONS = ("bucket", "key", "endpoint", "region", "encoding", "compress")
_FORM = "write s3://bucket/key, with {date}, {time}, {jobID} or {executionID} in the key where wanted"


def parse_publisher(text: str) -> SpecConfig:
    """One flag value as a publisher. Raises BadRequest."""
    uri = ""
    options: dict[str, str] = {}
    for field in split_fields(text, "publisher"):
        if field.key in ("", "target", "dst", "destination"):
            uri = field.value.strip(" \"'")
        elif field.key in ("opt", "option"):
            name, _, value = field.value.partition("=")
            options |= {name: value} if name else {}
        else:
            raise BadRequest(f"invalid publisher option: {field.text}", hint="options are written opt=name=value")
    kind = (scheme_of(uri) or uri).lower()
    if kind == "s3":
        return _s3(uri, options)
    if kind in ("local", "s3managed"):
        _known(options, (), kind)
        return SpecConfig(type=kind)
    if kind in ("ipfs", "estuary"):
        _known(options, (), "ipfs")
        return SpecConfig(type="ipfs")
    raise BadRequest(
        f"unknown publisher type: {scheme_of(uri) or uri}",
        hint="publishers are ipfs, local, s3managed and s3://bucket/key",
    )


def _known(options: dict[str, str], allowed: tuple[str, ...], publisher: str) -> None:
    for name in options:
        if name not in allowed:
            cure = f"options are {', '.join(allowed)}" if allowed else f"publisher {publisher} has no options"
            raise BadRequest(f'unknown option "{name}" for publisher {publisher}', hint=cure)


def _s3(uri: str, options: dict[str, str]) -> SpecConfig:
    _known(options, _S3_OPTIONS, "s3")
    bucket, path = host_and_path(uri) if scheme_of(uri) else ("", "")
    params = {name: value for name, value in (("bucket", bucket), ("key", path.lstrip("/"))) if value} | options
    for name in ("bucket", "key"):
        if not params.get(name):
            raise BadRequest(f"invalid s3 params. {name} cannot be empty", hint=f"{_FORM}, in place of {uri}")
    if params.get("encoding", "gzip") not in ("gzip", "plain", ""):
        raise BadRequest(f"invalid s3 params. encoding must be either 'plain' or 'gzip', not {params['encoding']!r}")
    if "compress" in params:
        parse_bool(params["compress"], "compress")
    return SpecConfig(type="s3", params=dict(params))
