"""The node's disk on the command line: `file:///path` as an input."""

from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.text.grammar import host_and_path, parse_bool, refuse_options

_OPTIONS = {
    **dict.fromkeys(("rw", "read-write", "read_write", "readwrite"), True),
    **dict.fromkeys(("ro", "read-only", "read_only", "readonly"), False),
}


def read_input(uri: str, options: dict[str, str]) -> SpecConfig:
    """Read `file:///path` with its options as an input source. Raises BadRequest."""
    refuse_options(options, _OPTIONS, "storage local")
    host, path = host_and_path(uri)
    if host or not path:
        raise BadRequest(f"local path must be absolute: {uri}", hint=f"write file:///{host}{path}")
    write = False
    for name, value in options.items():
        write = parse_bool(value, "read-write") is _OPTIONS[name]
    return SpecConfig(type="local", params={"SourcePath": path, "ReadWrite": write})
