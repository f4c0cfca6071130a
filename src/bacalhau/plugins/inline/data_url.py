"""RFC 2397 data URLs: small content that travels inside the job itself."""

import base64
import binascii
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_params

_PREFIX = "invalid inline storage params: "
_ARCHIVES = ("application/gzip", "application/x-gzip", "application/tar+gzip")


class Content(NamedTuple):
    """`media` is the lower-case media type without its parameters."""

    media: str
    data: bytes

    @property
    def is_archive(self) -> bool:
        """A tar.gz to be unpacked, rather than one file."""
        return self.media in _ARCHIVES


class InlineParams(Model):
    url: str = ""


def read_content(spec: SpecConfig) -> Content:
    """Return what the parameter URL holds. Raises BadRequest with every problem."""
    content, problems = _read(spec)
    if problems:
        raise BadRequest(problems)
    return content


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of an inline source."""
    return _read(spec)[1]


def _read(spec: SpecConfig) -> tuple[Content, list[str]]:
    params, problems = read_params(spec, InlineParams)
    content = Content("", b"")
    try:
        content = parse_data_url(params.url) if params else content
    except BadRequest as e:
        problems += e.problems
    return content, [_PREFIX + problem for problem in problems]


def parse_data_url(text: str) -> Content:
    """`data:[type][;name=value]...[;base64],DATA`. Raises BadRequest."""
    if not text.strip():
        raise BadRequest("URL cannot be empty: write it as data:[type][;base64],DATA")
    head, comma, data = text.strip().partition(",")
    scheme, colon, kind = head.partition(":")
    if scheme.lower() != "data" or not colon or not comma:
        raise BadRequest(f"URL {_short(text)!r} is not a data URL: write it as data:[type][;base64],DATA")
    media, *options = (part.strip().lower() for part in kind.split(";"))
    if "base64" not in options:
        return Content(media or "text/plain", unquote_to_bytes(data))
    try:
        return Content(media or "text/plain", base64.b64decode("".join(unquote(data).split()), validate=True))
    except (binascii.Error, ValueError) as e:
        raise BadRequest(f"URL {_short(text)!r} is not valid base64: {e}") from e


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
