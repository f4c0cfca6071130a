"""Bodies of the HTTP API under /api/v1."""

from typing import Annotated, Any

import msgspec

from bacalhau.lib.wire import Model, always
from bacalhau.models.execution.event import JobHistory
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.proof import Stage
from bacalhau.models.job.inventory import Shares
from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import NodeState
from bacalhau.models.wire.messages import InputAnswer, Progress

FORCE_HINT = "Use the --force flag to override this warning"
"""Of a job that has not changed; for programs that have such a flag."""


class ErrorBody(Model):
    status: int = always(factory=int)
    message: str = always(factory=str)
    request_id: str = always(factory=str)
    code: str = always(factory=str)
    component: str = always(factory=str)
    hint: str = ""
    details: dict[str, str] | None = None


class PutJobRequest(Model):
    """`idempotency_token` is the client's own: the same request with the same one makes no second job."""

    job: Job | None = None
    force: bool = False
    idempotency_token: str = ""


class PutJobResponse(Model):
    job_id: str = always(factory=str)
    evaluation_id: str = always(factory=str)
    warnings: tuple[str, ...] | None = always(factory=lambda: None)


class RerunJobRequest(Model):
    """`job_version` 0 is the latest. `same_inputs` (ours): read what that version listed, and list nothing anew."""

    job_version: int = 0
    reason: str = ""
    same_inputs: bool = False


class RerunJobResponse(Model):
    job_id: str = always(factory=str)
    job_version: int = always(factory=int)
    evaluation_id: str = always(factory=str)
    warnings: tuple[str, ...] | None = always(factory=lambda: None)


class PublishJobRequest(Model):
    """`execution_id` is the beginning of an id, "" for all of the job; `publisher` None is the job's own."""

    execution_id: str = msgspec.field(default="", name="ExecutionID")
    publisher: SpecConfig | None = None


class PublishJobResponse(Model):
    """`executions` are those whose kept outputs are being published."""

    job_id: str = always(factory=str)
    executions: tuple[str, ...] = always(factory=tuple)


class DiffJobRequest(Model):
    job: Job | None = None


class DiffJobResponse(Model):
    """`diff` is text for people; "" where nothing changed."""

    diff: str = always(factory=str)
    warnings: tuple[str, ...] | None = always(factory=lambda: None)


class StopJobRequest(Model):
    reason: str = msgspec.field(default="", name="reason")


class StopJobResponse(Model):
    evaluation_id: str = always(factory=str)


class SignLinksRequest(Model):
    """Objects of a published result, by key, that links are wanted for; `after` is the listing's continuation token."""

    execution_id: str = always(factory=str)
    keys: tuple[str, ...] = always(factory=tuple)
    after: str = ""


class SignLinksResponse(Model):
    """`listing` is a link to the page of the result's objects after the token, `links` are those to the objects."""

    listing: str = always(factory=str)
    links: tuple[str, ...] = always(factory=tuple)


class StorageArea(Model):
    """Part of what a process keeps. `bytes` are those on the disk; `limit` is the configured most, 0 for none."""

    name: str = always(factory=str)
    path: str = always(factory=str)
    bytes: int = always(factory=int)
    files: int = always(factory=int)
    limit: int = always(factory=int)


class CachedInput(Model):
    """An input that a node keeps. `used` is when a task last began with it; `pinned`: one has it now."""

    name: str = always(factory=str)
    bytes: int = always(factory=int)
    used: str = always(factory=str)
    pinned: bool = always(factory=bool)


class ListCacheResponse(Model):
    """A part of a node's cache of inputs, first what was used the longest time ago. `bytes` and `limit` are of all of
    it.
    """

    items: tuple[CachedInput, ...] = always(factory=tuple)
    next_token: str = always(factory=str)
    path: str = always(factory=str)
    bytes: int = always(factory=int)
    limit: int = always(factory=int)


class PruneCacheRequest(Model):
    """A choice of what goes of a node's cache: what was not used for `unused_for` seconds (0: no matter), and the
    oldest until so many bytes are left (`most`; None: no matter). What a task uses stays.
    """

    most: Annotated[int, msgspec.Meta(ge=0)] | None = None
    unused_for: Annotated[int, msgspec.Meta(ge=0)] = 0


class PruneCacheResponse(Model):
    removed: int = always(factory=int)
    bytes: int = always(factory=int)
    left: int = always(factory=int)


class StorageResponse(Model):
    items: tuple[StorageArea, ...] = always(factory=tuple)


class DeleteJobResponse(Model):
    """`freed_bytes` of the orchestrator's content store. `kept_results` are the publishers whose results stay where
    they are, such as `s3`.
    """

    job_id: str = always(factory=str)
    freed_bytes: int = always(factory=int)
    kept_results: tuple[str, ...] = always(factory=tuple)


class ExplainJobRequest(Model):
    """A job that is not submitted."""

    job: Job | None = None


class Placement(Model):
    """An execution where it would run (`execution_id` "") or does."""

    node_id: str = always(factory=str)
    partition_index: int = always(factory=int)
    execution_id: str = ""


class NodeAnswer(Model):
    """The answer of one node: whether it could take one more execution now; `never`: not even when it is idle.

    `reason` is "" where it fits.

    `holds`: targets of the inputs that it has already; `bytes_held` of the inputs are in its cache. `is_near`: its
    labels say that it is in the region of the inputs.
    """

    node_id: str = always(factory=str)
    fits: bool = always(factory=bool)
    never: bool = always(factory=bool)
    reason: str = always(factory=str)
    holds: tuple[str, ...] = ()
    bytes_held: int = 0
    is_near: bool = False


class NodeCounts(Model):
    """The number of nodes by their answer: they would take one more execution now, not now, or never."""

    fits: int = always(factory=int)
    not_now: int = always(factory=int)
    never: int = always(factory=int)


class ExplainJobResponse(Model):
    """The plan that a job would lead to at this moment.

    `state` is the job's next one and `message` the reason, when it waits or fails.

    `nodes` are a page of the answers, those that take it first, and `next_token` is where the next page begins;
    `node_counts` are of all nodes. `places` are the first of `place_count`.

    `node_id` is the node that was asked about the inputs, "" where none was. `turn` says what the position follows
    from: the priority, and the share and weight of the namespace.

    `inputs` come with the first page. `shares` say what each partition reads, None where every execution reads all;
    `retry_bytes` is what another attempt at the largest one fetches again. `count` is how many partitions the inputs
    make, 0 where they do not decide that; at least so many where `count_is_cut`.
    """

    job_id: str = always(factory=str)
    job_version: int = always(factory=int)
    state: str = always(factory=str)
    message: str = always(factory=str)
    hint: str = ""
    needs: Resources = always(factory=Resources)
    places: tuple[Placement, ...] = always(factory=tuple)
    nodes: tuple[NodeAnswer, ...] = always(factory=tuple)
    queue_position: int = 0
    turn: str = ""
    inputs: tuple[InputAnswer, ...] = always(factory=tuple)
    node_id: str = ""
    warnings: tuple[str, ...] | None = always(factory=lambda: None)
    node_counts: NodeCounts = always(factory=NodeCounts)
    place_count: int = always(factory=int)
    next_token: str = ""
    shares: Shares | None = None
    retry_bytes: int = 0
    count: int = 0
    count_is_cut: bool = False


class ListJobsResponse(Model):
    next_token: str = always(factory=str)
    items: tuple[Job, ...] = always(factory=tuple)


class ListExecutionsResponse(Model):
    next_token: str = always(factory=str)
    items: tuple[Execution, ...] = always(factory=tuple)


class ListHistoryResponse(Model):
    """`progress` and `progress_seq` (ours) answer a waiting request: the latest stage of each live execution."""

    next_token: str = always(factory=str)
    items: tuple[JobHistory, ...] = always(factory=tuple)
    progress: tuple[Progress, ...] | None = None
    progress_seq: int = 0


class GetJobResponse(Model):
    job: Job = always(factory=Job)
    history: ListHistoryResponse | None = None
    executions: ListExecutionsResponse | None = None


class ListResultsResponse(Model):
    """`executions` (ours) says for each item which execution's proof tells what is in it, "" where none does."""

    next_token: str = always(factory=str)
    items: tuple[SpecConfig, ...] = always(factory=tuple)
    executions: tuple[str, ...] = ()


class ProvenFile(Model):
    """A file that an execution read or published. `uri`, `etag` and `version` say where an input came from; `target` is
    where the task saw it. `sha256` is "" for a place of the node that was used where it is.
    """

    path: str = always(factory=str)
    size: int = always(factory=int)
    sha256: str = msgspec.field(default_factory=str, name="SHA256")
    target: str = ""
    uri: str = msgspec.field(default="", name="URI")
    etag: str = msgspec.field(default="", name="ETag")
    version: str = ""
    from_cache: bool = False


class Provenance(Model):
    """The proof of an execution, or a piece of one: an execution with many files has several pieces, one after the
    other, of which the later ones have its id and files alone.

    `missing` says why there is no proof. The digests are those of `models.execution.proof.Proof`. Of environment
    variables, also of the engine's, only the names are told: `environment`.
    """

    execution_id: str = always(factory=str)
    node_id: str = ""
    partition_index: int = 0
    state: str = ""
    missing: str = ""
    engine: SpecConfig | None = None
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    image: str = ""
    started: str = ""
    ended: str = ""
    node_version: str = ""
    input_digest: str = ""
    source_digest: str = ""
    output_digest: str = ""
    stages: tuple[Stage, ...] = ()
    inputs: tuple[ProvenFile, ...] = ()
    outputs: tuple[ProvenFile, ...] = ()


class ListProvenanceResponse(Model):
    """`pages` is set for one page of one execution: how many there are."""

    items: tuple[Provenance, ...] = always(factory=tuple)
    pages: int = 0


class ListNodesResponse(Model):
    next_token: str = always(factory=str)
    nodes: tuple[NodeState, ...] = always(factory=tuple)


class GetNodeResponse(Model):
    node: NodeState = always(factory=NodeState)


class PutNodeRequest(Model):
    """`action` of approve, reject, delete, and ours: cordon, uncordon, drain, labels.

    `deadline` (seconds) belongs to drain, `labels` to labels: a value sets a label, null takes it away. The path says
    which node, not `node_id`.
    """

    action: str | None = always(factory=str)
    message: str | None = always(factory=str)
    node_id: str | None = always(factory=str)
    deadline: int | None = None
    labels: dict[str, str | None] | None = None


class PutNodeResponse(Model):
    success: bool = always(factory=bool)
    error: str = ""


class ConfigResponse(Model):
    """`config` is written small, unlike every other key."""

    config: dict[str, Any] = msgspec.field(default_factory=dict, name="config")


class SignIn(Model):
    """An identity provider of the OAuth 2.0 device flow; all empty where the server has none."""

    provider_id: str = ""
    provider_name: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""
    device_client_id: str = ""
    audience: str = ""
    scopes: tuple[str, ...] | None = None
    polling_interval: int = 0


class AuthConfigResponse(Model):
    version: str = always(factory=str)
    config: SignIn = always(factory=SignIn)


class AliveResponse(Model):
    status: str = always(factory=lambda: "OK")
