"""Requests and answers of the older generation's clients over HTTP. Keys are lower-case with underscores but for signed
payloads.
"""

from typing import Annotated, Any

import msgspec

from bacalhau.lib.units import MAX_SECONDS
from bacalhau.lib.wire import Model, always
from bacalhau.models.node.node import ComputeNodeInfo
from bacalhau.models.node.version import BuildVersion
from bacalhau.models.seed.seed import SeedHistory, SeedJob, SeedJobWithInfo, SeedSpec, SeedState, SeedStorage


def _as_written(name: str) -> str:
    return name


class Plain(Model, rename=_as_written):
    """Base of bodies whose keys are spelled as the fields are."""


class ListRequest(Plain):
    """A non-empty `id` makes all else irrelevant; `max_jobs` 0 is all."""

    id: str = ""
    client_id: str = ""
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    max_jobs: int = 0
    return_all: bool = False
    sort_by: str = ""
    sort_reverse: bool = False


class ListResponse(Plain):
    jobs: tuple[SeedJobWithInfo, ...] = always(factory=tuple)


class StateRequest(Plain):
    """A question about the states or the results of a job."""

    client_id: str = ""
    job_id: str = ""


class StateResponse(Plain):
    state: SeedState = always(factory=SeedState)


class PublishedResult(Model):
    node_id: str = ""
    data: SeedStorage = always(factory=SeedStorage)


class ResultsResponse(Plain):
    results: tuple[PublishedResult, ...] = always(factory=tuple)


class EventFilter(Plain):
    """`since` is in Unix seconds."""

    since: Annotated[int, msgspec.Meta(ge=0, le=MAX_SECONDS)] = 0
    exclude_execution_level: bool = False
    exclude_job_level: bool = False
    execution_id: str = ""
    node_id: str = ""


class EventsRequest(StateRequest):
    filters: EventFilter = EventFilter()


class EventsResponse(Plain):
    events: tuple[SeedHistory, ...] = always(factory=tuple)


class SubmitPayload(Model):
    client_id: str = ""
    api_version: str = msgspec.field(default="", name="APIVersion")
    spec: SeedSpec = SeedSpec()


class SubmitResponse(Plain):
    job: SeedJob = always(factory=SeedJob)


class JobPayload(Model):
    """The first fields of everything that is signed to have something done with a job."""

    client_id: str = ""
    job_id: str = ""


class CancelPayload(JobPayload):
    reason: str = ""


class LogsPayload(JobPayload):
    execution_id: str = ""
    with_history: bool = False
    follow: bool = False


class ApprovePayload(JobPayload):
    response: dict[str, Any] = {}


class LogMessage(Model):
    """`tag` 1 is stdout, 2 stderr."""

    tag: int = always(factory=int)
    data: str = always(factory=str)
    error_message: str = always(factory=str)


class SeedError(Model):
    code: str = always(factory=str)
    message: str = always(factory=str)
    details: dict[str, str] = always(factory=dict)
    err: str = always(factory=str)


class VersionRequest(Plain):
    client_id: str = ""


class MountStatus(Model):
    """The room of a file system, in bytes."""

    all: int = always(factory=int)
    used: int = always(factory=int)
    free: int = always(factory=int)


class FreeSpace(Plain):
    ipfs_mount: MountStatus = msgspec.field(default_factory=lambda: MountStatus(), name="IPFSMount")
    tmp: MountStatus = always(factory=MountStatus)
    root: MountStatus = always(factory=MountStatus)


class HealthInfo(Model):
    free_space: FreeSpace = always(factory=FreeSpace)


class SeedNodeInfo(Model):
    """Today's description of a node, and the approval that then stood beside it."""

    node_id: str = always(factory=str)
    node_type: str = always(factory=str)
    labels: dict[str, str] | None = always(factory=dict)
    compute_node_info: ComputeNodeInfo | None = always(factory=ComputeNodeInfo)
    bacalhau_version: BuildVersion = always(factory=BuildVersion)
    approval: str = always(factory=str)
