"""Results of other jobs on the command line: `job://ID[/path]` or `job://NAME[/path]` as an input."""

from typing import Any

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import host_and_path, parse_bool, refuse_options


def read_input(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `job://ID/path/in/the/result` as an input source; `opt=wait` waits for a job that is not done. Raises
    BadRequest.
    """
    refuse_options(options, ("wait",), "storage job")
    name, path = host_and_path(uri)
    if not name:
        raise BadRequest("invalid job storage params: job cannot be empty", hint=f"write job://ID in place of {uri}")
    params: dict[str, Any] = {"Job": name}
    if below := path.strip("/"):
        params["Path"] = below
    if "wait" in options:
        params["Wait"] = parse_bool(options["wait"], "wait") if options["wait"] else True
    return SpecConfig(type="job", params=params)
