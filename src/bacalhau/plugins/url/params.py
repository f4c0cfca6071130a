"""What a job may say about a URL, and its pure check at submission."""

from urllib.parse import urlsplit

import yarl

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model, convert_all, fold_keys
from bacalhau.models.job.spec import SpecConfig

_PREFIX = "invalid url storage params: "


class UrlParams(Model):
    url: str = ""


def read_url(spec: SpecConfig) -> str:
    """The parameter URL without spaces and quotes around it. Raises BadRequest with all problems, one a line."""
    given = {name: value for name, value in (spec.params or {}).items() if value is not None}
    folded, unknown = fold_keys(given, UrlParams)
    problems = [f"unknown parameter {name}: known is URL" for name in unknown]
    url = ""
    try:
        url = convert_all(folded, UrlParams).url.strip(" \"'\t\r\n")
        problems += _problems(url)
    except BadRequest as e:
        problems += e.message.splitlines()
    if problems:
        raise BadRequest("\n".join(_PREFIX + problem for problem in problems))
    return url


def _problems(url: str) -> list[str]:
    if not url:
        return ["URL cannot be empty"]
    try:
        parts = urlsplit(url)
        host, _, _ = parts.hostname, parts.port, yarl.URL(url)
    except ValueError as e:
        return [f"URL {url!r} is not a URL: {e}"]
    if parts.scheme not in ("http", "https"):
        return [
            f"URLs must begin with 'http' or 'https'. The submitted one began with {parts.scheme or repr(url[:20])}"
        ]
    if not host:
        return [f"URL {url!r} has no host"]
    if not parts.path:
        return [f"URL must end with a file name: {url}"]
    return []


def check_source(spec: SpecConfig) -> list[str]:
    """All problems of a URL source."""
    try:
        read_url(spec)
    except BadRequest as e:
        return e.message.splitlines()
    return []
