"""The parameters of a URL, and their pure check at submission."""

from urllib.parse import urlsplit

import yarl

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_params

_PREFIX = "invalid url storage params: "


class UrlParams(Model):
    """`as_file`: the target is the file itself, not a folder with the file in it. It is ours, and lets several files
    stand side by side in one folder. `writable` (ours): the task gets a copy of its own, and not what its node's cache
    holds.
    """

    url: str = ""
    as_file: bool = False
    writable: bool = False


def is_file(spec: SpecConfig) -> bool:
    """Tell whether a URL is to be the target itself."""
    params, _ = read_params(spec, UrlParams)
    return params is not None and params.as_file


def read_url(spec: SpecConfig) -> str:
    """Return the parameter URL without the spaces and quotes around it. Raises BadRequest with every problem."""
    url, problems = _read(spec)
    if problems:
        raise BadRequest(problems)
    return url


def check_source(spec: SpecConfig) -> list[str]:
    """List every problem of a URL source."""
    return _read(spec)[1]


def _read(spec: SpecConfig) -> tuple[str, list[str]]:
    params, problems = read_params(spec, UrlParams)
    url = params.url.strip(" \"'\t\r\n") if params else ""
    if params:
        problems += _problems(url)
    return url, [_PREFIX + problem for problem in problems]


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
