"""Messages between orchestrator and node. Names and fields are the original's, so a foreign node may join.

Extensions of ours: `PublishOutputs` (of what a node kept), `transport.Running…` (what a node has in hand),
`transport.Progress` (at most once, never stored), `transport.ResolveInputs…`, `transport.ListInput…`,
`transport.LocateInputs…` and `transport.Prefetch…` (asked of a node), `transport.Publish*` (who may publish),
`transport.SignInput…` (by which link an input is fetched),
`content.*` (blocks of published results), `logs.*` (what executions print).
"""

from typing import Any

import msgspec

from bacalhau.lib.wire import Model, always
from bacalhau.models.execution.event import Event
from bacalhau.models.execution.execution import Execution, RunCommandResult
from bacalhau.models.execution.proof import Proof
from bacalhau.models.job.job import InputSource, Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import NodeInfo
from bacalhau.models.wire.links import PreSignURLRequest, PreSignURLResponse, SignInputRequest, SignInputResponse


class AskForBid(Model):
    """`execution` carries its job; desired Running means: start at once, answer only to refuse.

    `job_blocks` (ours) stand in for a job that is too large for a message: the CIDs of the blocks that hold it, in
    order, to be asked for with `content.GetBlockRequest`. After the first line of each block follows a piece of its
    JSON.
    """

    events: tuple[Event, ...] | None = always(factory=lambda: None)
    execution: Execution = always(factory=Execution)
    job_blocks: tuple[str, ...] = ()


class Wish(Model):
    """The first fields of what the orchestrator says of an execution that the node has."""

    events: tuple[Event, ...] | None = always(factory=lambda: None)
    execution_id: str = always(factory=str)


class BidAccepted(Wish):
    accepted: bool = always(factory=bool)


class BidRejected(Wish):
    pass


class CancelExecution(Wish):
    pass


class PublishOutputs(Wish):
    """Publish the outputs that the node kept of an execution (ours).

    `publisher` is where they go. `may_run_again`: where the node has them no longer, the execution may be tried again.
    """

    job_id: str = always(factory=str)
    publisher: SpecConfig = always(factory=SpecConfig)
    may_run_again: bool = False


class ForgetOutputs(Wish):
    """Remove the outputs that the node kept of an execution, of which nothing is known any more (ours)."""


class Told(Model):
    """The first fields of what a node says of an execution."""

    execution_id: str = always(factory=str)
    job_id: str = always(factory=str)
    job_type: str = always(factory=str)
    events: tuple[Event, ...] | None = always(factory=lambda: None)


class BidResult(Told):
    """`ports` (ours): by name, the address at which the task's ports are reached."""

    accepted: bool = always(factory=bool)
    ports: dict[str, str] = {}


class RunResult(Told):
    """`image` (ours) is the pinned image the container ran, `proof` (ours) what was read and written."""

    publish_result: SpecConfig | None = always(factory=SpecConfig)
    run_command_result: RunCommandResult | None = always(factory=RunCommandResult)
    image: str = ""
    proof: Proof | None = None


class ComputeError(Told):
    """The first event's message is the error.

    `run_command_result` and `publish_result` (ours) keep what was printed and written before it, `proof` (ours) what
    was read and published.
    """

    run_command_result: RunCommandResult | None = None
    publish_result: SpecConfig | None = None
    proof: Proof | None = None


class RunningRequest(Model):
    """A piece of what a node has in hand, told before its handshake where one message does not hold all (ours).

    `running` are all its executions whose ids come after `after` and not after `until`, in the order of their text.
    """

    running: tuple[str, ...] = always(factory=tuple)
    after: str = always(factory=str)
    until: str = always(factory=str)


class RunningResponse(Model):
    """`stop`: executions of the request's `running` that are no longer wanted."""

    stop: tuple[str, ...] = always(factory=tuple)


class HandshakeRequest(Model):
    """`running` (ours): the executions that the node has in hand; absent on nodes of other makes.

    `running_after` (ours): only those whose ids come after this one; the others were told by `RunningRequest`.
    """

    node_info: NodeInfo = always(factory=NodeInfo)
    start_time: str = always(factory=str)
    last_orchestrator_seq_num: int = always(factory=int)
    running: tuple[str, ...] | None = None
    running_after: str = ""


class HandshakeResponse(Model):
    """`stop` (ours): executions of the request's `running` that are no longer wanted.

    `fenced` (ours): this orchestrator is to be asked before anything is published.
    """

    accepted: bool = msgspec.field(default_factory=bool, name="accepted")
    reason: str = msgspec.field(default_factory=str, name="reason")
    last_compute_seq_num: int = always(factory=int)
    last_orchestrator_seq_num: int = always(factory=int)
    stop: tuple[str, ...] | None = None
    fenced: bool = False


class HeartbeatRequest(Model):
    """`cached_bytes` (ours) is the size of the node's cache of inputs: where it is empty, nobody asks what is in it."""

    node_id: str = always(factory=str)
    available_capacity: Resources = always(factory=Resources)
    queue_used_capacity: Resources = always(factory=Resources)
    last_orchestrator_seq_num: int = always(factory=int)
    cached_bytes: int = 0


class HeartbeatResponse(Model):
    last_compute_seq_num: int = always(factory=int)


class UpdateNodeInfoRequest(Model):
    node_info: NodeInfo = always(factory=NodeInfo)


class UpdateNodeInfoResponse(Model):
    accepted: bool = msgspec.field(default_factory=bool, name="accepted")
    reason: str = msgspec.field(default_factory=str, name="reason")


class PublishRequest(Model):
    """May this execution publish its result now? (ours)"""

    execution_id: str = always(factory=str)
    job_id: str = always(factory=str)


class PublishResponse(Model):
    """`granted` holds for a moment after the request was sent; otherwise `reason` says why nobody waits for this
    result.
    """

    granted: bool = always(factory=bool)
    reason: str = ""


class ShutdownNoticeRequest(Model):
    node_id: str = always(factory=str)
    reason: str = always(factory=str)
    last_orchestrator_seq_num: int = always(factory=int)


class ShutdownNoticeResponse(Model):
    last_compute_seq_num: int = always(factory=int)


class BacError(Model):
    """An answer to a request that failed."""

    cause: str = always(factory=str)
    hint: str = always(factory=str)
    retryable: bool = always(factory=bool)
    fails_execution: bool = always(factory=bool)
    component: str = always(factory=str)
    http_status_code: int = msgspec.field(default_factory=int, name="HTTPStatusCode")
    details: dict[str, Any] | None = always(factory=lambda: None)
    code: str = always(factory=str)


class InputAnswer(Model):
    """The content of an input, as a node found out. `error` says why it could not; then the counts are 0.

    `first_keys` are a few of its objects, `identity` says as whom the node reads it, `region` where it lies.
    `is_shared`: it is divided among the partitions; `is_in_place`: it is used where it is, and nothing is fetched;
    `is_cut`: there is more than was counted.
    """

    type: str = always(factory=str)
    target: str = always(factory=str)
    objects: int = always(factory=int)
    bytes: int = always(factory=int)
    error: str = ""
    hint: str = ""
    first_keys: tuple[str, ...] = ()
    identity: str = ""
    region: str = ""
    is_shared: bool = False
    is_in_place: bool = False
    is_cut: bool = False


class ResolveInputsRequest(Model):
    """A question to a node (ours): what these inputs hold, as it finds them with its own credentials, and where its
    rules let jobs of the `namespace` read them.
    """

    inputs: tuple[InputSource, ...] = always(factory=tuple)
    namespace: str = ""


class ResolveInputsResponse(Model):
    inputs: tuple[InputAnswer, ...] = always(factory=tuple)


class ListInputRequest(Model):
    """A question to a node (ours): what an input holds, a page at a time. `place` is "" for the first page, else one
    of the tokens that an answer named; `count` is the number of partitions among which the input is shared out, 0
    for a job that is not divided. `namespace` is the job's. A node that still tries again after `seconds` says why; 0
    leaves the time to the node.
    """

    input: InputSource = always(factory=InputSource)
    namespace: str = always(factory=str)
    count: int = always(factory=int)
    place: str = ""
    seconds: float = 0.0


class ListInputResponse(Model):
    """`page` holds rows of an inventory (`models.job.inventory`), the partition in each being that of the object where
    `sharing` is "owner". `marks` name what stays together where it is "bytes" or "count", one for each row, or none.
    The first page says as whom the node reads (`identity`), and the `region` where the input lies.

    `fault` says why the input could not be listed now, though it may be later, and then there is no page; `is_heard`:
    its server had answered.
    `missing` counts objects that the input names and that are not there; `missing_keys` are some of them.
    """

    page: bytes = always(factory=bytes)
    following: tuple[str, ...] = ()
    sharing: str = always(factory=str)
    marks: tuple[str, ...] = ()
    identity: str = ""
    region: str = ""
    fault: str = ""
    hint: str = ""
    is_heard: bool = False
    missing: int = 0
    missing_keys: tuple[str, ...] = ()


class InputPresence(Model):
    """The presence of an input on a node (`here`); what is not there may be brought, unless `error` says why the node
    cannot have it at all. `bytes` of what the input may hold are kept by the node from an earlier task.
    """

    here: bool = always(factory=bool)
    error: str = ""
    bytes: int = 0


class LocateInputsRequest(Model):
    """A question to a node (ours): which of these it has already, told without looking elsewhere."""

    sources: tuple[SpecConfig, ...] = always(factory=tuple)


class LocateInputsResponse(Model):
    """One place for each source, in their order."""

    places: tuple[InputPresence, ...] = always(factory=tuple)


class PrefetchPiece(Model):
    """A partition that waits for room, as far as its inputs need it: the job has no more than its inputs, and what they
    are found by.
    """

    job: Job = always(factory=Job)
    partition: int = always(factory=int)


class PrefetchRequest(Model):
    """A hint to a node (ours): these pieces are likely to begin on it next, and no others any more. It may bring their
    inputs into its cache meanwhile.
    """

    pieces: tuple[PrefetchPiece, ...] = always(factory=tuple)


class PrefetchResponse(Model):
    """The hint was heard."""


class Progress(Model):
    """The stage of an execution: `stage` is one of preparing, pulling, staging, running, publishing; counts in objects
    and bytes. `note` is what it waits for just now, "" while it goes on. Without an execution it is the progress of the
    job: its inputs are listed (stage listing), and `note` says how far.
    """

    execution_id: str = always(factory=str)
    job_id: str = always(factory=str)
    stage: str = always(factory=str)
    done: int = 0
    total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    note: str = ""


class HelloRequest(Model):
    """Sent by an orchestrator that has just started to each node it knows; a node that hears it joins at once."""


class HelloResponse(Model):
    """The node has joined."""


class MissingBlocksRequest(Model):
    """CIDs as text; the answer names those the store does not hold."""

    cids: tuple[str, ...] = always(factory=tuple)


class MissingBlocksResponse(Model):
    cids: tuple[str, ...] = always(factory=tuple)


class PutBlocksRequest(Model):
    """Blocks by CID text; at most about 700 KiB together. `bytes` travel as base64."""

    blocks: dict[str, bytes] = always(factory=dict)


class PutBlocksResponse(Model):
    stored: int = always(factory=int)


class GetBlockRequest(Model):
    cid: str = always(factory=str)


class GetBlockResponse(Model):
    """`found` False: the store does not hold it."""

    found: bool = always(factory=bool)
    block: bytes = always(factory=bytes)


class KeepPageRequest(Model):
    """Keep a page of the proof of an execution that this node runs (ours); see `models.execution.proof`."""

    execution_id: str = always(factory=str)
    job_id: str = always(factory=str)
    page: bytes = always(factory=bytes)


class KeepPageResponse(Model):
    """`name` is the page's in the content store."""

    name: str = always(factory=str)


class LogPart(Model):
    """`data` of an execution's `stream` (1 stdout, 2 stderr), which travels as base64, from byte `offset` on.

    Without data it only asks where the log ends.
    """

    execution_id: str = always(factory=str)
    stream: int = always(factory=int)
    offset: int = always(factory=int)
    data: bytes = b""


class PutLogsRequest(Model):
    """Printed text on its way to the orchestrator, at most about 700 KiB. After the parts, nothing more will come of
    the `ended` executions.
    """

    parts: tuple[LogPart, ...] = always(factory=tuple)
    ended: tuple[str, ...] = ()


class LogEnd(Model):
    """The places from which the orchestrator wants a log's streams; `unwanted`: it wants nothing of it."""

    execution_id: str = always(factory=str)
    stdout: int = always(factory=int)
    stderr: int = always(factory=int)
    unwanted: bool = False


class PutLogsResponse(Model):
    """`limit` is how many bytes of one log are kept, 0 all: of what is too far behind, the middle need not be sent."""

    ends: tuple[LogEnd, ...] = always(factory=tuple)
    limit: int = always(factory=int)


# Wire type name of each message; `transport.`, `content.` and `logs.` are part of the name.
MESSAGE_TYPES: dict[str, type[Model]] = {
    "AskForBid": AskForBid,
    "BidAccepted": BidAccepted,
    "BidRejected": BidRejected,
    "CancelExecution": CancelExecution,
    "PublishOutputs": PublishOutputs,
    "ForgetOutputs": ForgetOutputs,
    "BidResult": BidResult,
    "RunResult": RunResult,
    "ComputeError": ComputeError,
    "BacError": BacError,
    "transport.HandshakeRequest": HandshakeRequest,
    "transport.HandshakeResponse": HandshakeResponse,
    "transport.RunningRequest": RunningRequest,
    "transport.RunningResponse": RunningResponse,
    "transport.HeartbeatRequest": HeartbeatRequest,
    "transport.HeartbeatResponse": HeartbeatResponse,
    "transport.UpdateNodeInfoRequest": UpdateNodeInfoRequest,
    "transport.UpdateNodeInfoResponse": UpdateNodeInfoResponse,
    "transport.ShutdownNoticeRequest": ShutdownNoticeRequest,
    "transport.ShutdownNoticeResponse": ShutdownNoticeResponse,
    "transport.PublishRequest": PublishRequest,
    "transport.PublishResponse": PublishResponse,
    "transport.Progress": Progress,
    "transport.HelloRequest": HelloRequest,
    "transport.HelloResponse": HelloResponse,
    "transport.ResolveInputsRequest": ResolveInputsRequest,
    "transport.ResolveInputsResponse": ResolveInputsResponse,
    "transport.ListInputRequest": ListInputRequest,
    "transport.ListInputResponse": ListInputResponse,
    "transport.LocateInputsRequest": LocateInputsRequest,
    "transport.LocateInputsResponse": LocateInputsResponse,
    "transport.PrefetchRequest": PrefetchRequest,
    "transport.PrefetchResponse": PrefetchResponse,
    "content.MissingBlocksRequest": MissingBlocksRequest,
    "content.MissingBlocksResponse": MissingBlocksResponse,
    "content.PutBlocksRequest": PutBlocksRequest,
    "content.PutBlocksResponse": PutBlocksResponse,
    "content.GetBlockRequest": GetBlockRequest,
    "content.GetBlockResponse": GetBlockResponse,
    "content.KeepPageRequest": KeepPageRequest,
    "content.KeepPageResponse": KeepPageResponse,
    "managedPublisher.PreSignURLRequest": PreSignURLRequest,
    "managedPublisher.PreSignURLResponse": PreSignURLResponse,
    "transport.SignInputRequest": SignInputRequest,
    "transport.SignInputResponse": SignInputResponse,
    "logs.PutLogsRequest": PutLogsRequest,
    "logs.PutLogsResponse": PutLogsResponse,
}
MESSAGE_NAMES: dict[type[Model], str] = {kind: name for name, kind in MESSAGE_TYPES.items()}
