"""URLs on the command line: `https://host/file` as an input."""

import re

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import parse_bool, refuse_options


def read_input(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read a URL of http or https as an input source. Raises BadRequest."""
    refuse_options(options, ("writable",), "storage urlDownload")
    host, slash, _ = re.split(r"[?#]", uri.partition("://")[2], maxsplit=1)[0].partition("/")
    if not host or not slash:
        raise BadRequest(
            f"invalid url storage params: URL must end with a file name: {uri}",
            hint="write https://host/file, followed by :/target",
        )
    writable = {"Writable": parse_bool(options["writable"], "writable")} if "writable" in options else {}
    return SpecConfig(type="urlDownload", params={"URL": uri, **writable})
