"""`-i/--input`: `URI[:TARGET][,opt=name=value]...` or `src=URI,dst=TARGET`, one flag one input source.

The plug-in of its scheme reads the URI. A field that begins with `scheme://` is a URI even when it has `=`; names of
options are case-sensitive, hosts keep their case.
"""

import re

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import Field, Options, Uris, listed, scheme_of, split_fields

DEFAULT_TARGET = "/inputs"
_HOST_WITH_PORT = re.compile(r"https?://[^/]*$")


def parse_input(text: str, uris: Uris, default: str = DEFAULT_TARGET) -> InputSource:
    """Read one flag value as an input source, mounted at `default` where it does not say. Raises BadRequest."""
    source, target = "", default
    options = Options()
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
                f"unexpected key {field.key} in field {field.text}",
                hint=f"keys are src, dst and opt; {_write_one(uris)}",
            )
    if not target:
        raise BadRequest(f"input source is missing a target: {text}", hint=_write_one(uris))
    return InputSource(source=_source(source, options, uris), alias=source, target=target)


def _bare(text: str) -> str:
    return text.strip(" \"'")


def _add_option(options: Options, field: Field) -> None:
    name, _, value = field.value.partition("=")
    if name:
        options.add(name, value)


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


def _source(uri: str, options: dict[str, str], uris: Uris) -> SpecConfig:
    scheme = scheme_of(uri)
    if scheme in ("git", "gitlfs"):
        raise BadRequest(
            f"unsupported type: {scheme}",
            hint="clone the repository first and bring its files from S3, IPFS, a URL or the node's disk",
        )
    read = uris.find(scheme) if scheme else None
    if read is None:
        raise BadRequest(f"unknown storage schema: {scheme or f'none in {uri!r}'}", hint=_write_one(uris))
    return read(uri, options)


def _write_one(uris: Uris) -> str:
    return f"write {listed(uris.forms(), 'or')}, followed by :/target"
