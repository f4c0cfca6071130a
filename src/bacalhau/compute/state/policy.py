"""The rules by which a node takes executions, as far as values alone decide. Pure but for its settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bacalhau.lib.errors import BadRequest
from bacalhau.models.node.admission import NodePolicy
from bacalhau.ports.admission import Probe

FROM_NODE = "env:"
_GLOB = re.compile(r"[A-Za-z0-9_*?\[\]!-]+")


@dataclass(frozen=True)
class Admission:
    """`env_allowed`: globs of the node's variables, out of `environ`, that jobs may read; `local_only`: inputs must be
    here already.
    """

    policy: NodePolicy = field(default_factory=NodePolicy)
    local_only: bool = False
    env_allowed: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()

    def __post_init__(self) -> None:
        """A list that was meant as something else must not allow less, or more, than its author thinks."""
        for pattern in self.env_allowed:
            if not _GLOB.fullmatch(pattern):
                hint = "write the name, with * and ? for any characters: AWS_* or HOME"
                raise BadRequest(f"Compute.Env.AllowList: {pattern!r} is not a pattern of variable names", hint=hint)


def resolve_env(wanted: Mapping[str, str], admission: Admission) -> tuple[dict[str, str], list[str]]:
    """The variables with the node's own values where they ask for them, and why some cannot be had."""
    values, problems = {}, []
    for name, value in wanted.items():
        theirs = value.removeprefix(FROM_NODE)
        if theirs == value:
            values[name] = value
        elif not any(fnmatchcase(theirs, pattern) for pattern in admission.env_allowed):
            problems.append(
                f"environment variable {name} asks for {theirs} of the node, which Compute.Env.AllowList does not allow"
            )
        elif theirs not in admission.environ:
            problems.append(f"environment variable {name} asks for {theirs} of the node, which is not set there")
        else:
            values[name] = admission.environ[theirs]
    return values, problems
