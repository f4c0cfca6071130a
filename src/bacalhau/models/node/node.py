"""Nodes: what each offers, whether it is a member, whether it is connected."""

from collections.abc import Mapping

import msgspec

from bacalhau.lib.clock import ZERO_TIME
from bacalhau.lib.wire import Model, always
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.admission import NodePolicy
from bacalhau.models.node.version import BuildVersion

CONNECTED, DISCONNECTED = "CONNECTED", "DISCONNECTED"
APPROVED, PENDING, REJECTED = "APPROVED", "PENDING", "REJECTED"
NCL_V1 = "ncl/v1"


class ComputeNodeInfo(Model):
    """Lists are lower-case plug-in names. `policy` (ours) is what is refused, absent where nothing is.

    `unavailable` (ours) says why a `docker engine`, `s3 publisher` or `local source` that is set up here is not
    offered, `cures` what to do about it. `max_executions` (ours) run at once; 0 is no limit.
    """

    execution_engines: tuple[str, ...] | None = always(factory=tuple)
    publishers: tuple[str, ...] | None = always(factory=tuple)
    storage_sources: tuple[str, ...] | None = always(factory=tuple)
    max_capacity: Resources = always(factory=Resources)
    queue_capacity: Resources = always(factory=Resources)
    available_capacity: Resources = always(factory=Resources)
    max_job_requirements: Resources = always(factory=Resources)
    running_executions: int = always(factory=int)
    enqueued_executions: int = always(factory=int)
    address: str = msgspec.field(default_factory=str, name="address")
    unavailable: dict[str, str] = {}
    cures: dict[str, str] = {}
    policy: NodePolicy | None = None
    max_executions: int = 0


class NodeInfo(Model):
    node_id: str = always(factory=str)
    node_type: str = always(factory=lambda: "Compute")
    labels: dict[str, str] | None = always(factory=dict)
    supported_protocols: tuple[str, ...] | None = always(factory=lambda: (NCL_V1,))
    compute_node_info: ComputeNodeInfo | None = always(factory=ComputeNodeInfo)
    bacalhau_version: BuildVersion = always(factory=BuildVersion)

    @property
    def compute(self) -> ComputeNodeInfo:
        return self.compute_node_info or ComputeNodeInfo()


class ConnectionState(Model):
    """Times are RFC 3339; unset ones are Go's zero time."""

    status: str = always(factory=lambda: DISCONNECTED)
    last_heartbeat: str = always(factory=lambda: ZERO_TIME)
    last_compute_seq_num: int = 0
    last_orchestrator_seq_num: int = 0
    connected_since: str = always(factory=lambda: ZERO_TIME)
    disconnected_since: str = always(factory=lambda: ZERO_TIME)
    last_error: str = ""


class Drain(Model):
    """Work is being moved off the node; times are RFC 3339.

    Batch and ops executions may finish there until `deadline`, "" without a limit; `drained` is when nothing ran there
    any more.
    """

    since: str = always(factory=str)
    deadline: str = ""
    drained: str = ""


class NodeState(Model):
    """Ours: `cordoned` nodes get no new work; `label_changes` were made at run time and go before the node's own
    labels, None takes one away; `message` says why the node was last approved, rejected, cordoned or drained;
    `native` nodes run this program.
    """

    info: NodeInfo = always(factory=NodeInfo)
    membership: str = always(factory=lambda: APPROVED)
    connection: str = always(factory=lambda: DISCONNECTED)
    connection_state: ConnectionState = always(factory=ConnectionState)
    cordoned: bool = False
    drain: Drain | None = None
    label_changes: dict[str, str | None] = {}
    message: str = ""
    native: bool = False


def relabelled(info: NodeInfo, changes: Mapping[str, str | None]) -> NodeInfo:
    """The node's own description under the labels that it was given at run time."""
    if not changes:
        return info
    labels = {name: value for name, value in {**(info.labels or {}), **changes}.items() if value is not None}
    return msgspec.structs.replace(info, labels=labels)
