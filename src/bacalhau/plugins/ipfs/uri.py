"""IPFS on the command line: `ipfs://CID[/path]` as an input, `ipfs` as a publisher."""

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import host_and_path, parse_bool, refuse_options


def read_input(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `ipfs://CID` or `ipfs://CID/path/below/it` as an input source. Raises BadRequest."""
    refuse_options(options, ("writable", "read-timeout"), "storage ipfs")
    cid, path = host_and_path(uri)
    if not cid:
        raise BadRequest("invalid ipfs params. cid cannot be empty", hint=f"write ipfs://CID in place of {uri}")
    below = path.strip("/")
    writable = {"Writable": parse_bool(options["writable"], "writable")} if "writable" in options else {}
    limit = {"ReadTimeout": options["read-timeout"]} if "read-timeout" in options else {}
    return SpecConfig(type="ipfs", params={"CID": f"{cid}/{below}" if below else cid, **writable, **limit})


def read_publisher(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `ipfs` as a publisher. Raises BadRequest: it has no options."""
    refuse_options(options, (), "publisher ipfs")
    return SpecConfig(type="ipfs")
