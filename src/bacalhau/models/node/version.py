"""The version of this build, in the shape that other clients compare."""

import platform
from importlib import metadata

import msgspec

from bacalhau.lib.wire import Model, always


class BuildVersion(Model):
    """Odd key spellings are the wire's."""

    major: str = ""
    minor: str = ""
    git_version: str = always(factory=str)
    git_commit: str = always(factory=str)
    build_date: str = always(factory=lambda: "1970-01-01T00:00:00Z")
    goos: str = msgspec.field(default_factory=str, name="GOOS")
    goarch: str = msgspec.field(default_factory=str, name="GOARCH")


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def this_version() -> BuildVersion:
    number = metadata.version("bacalhau")
    major, minor, *_ = number.split(".")
    machine = platform.machine()
    return BuildVersion(
        major=major,
        minor=minor,
        git_version=f"v{number}",
        git_commit="0" * 40,
        goos=platform.system().lower(),
        goarch=_ARCHITECTURES.get(machine, machine),
    )
