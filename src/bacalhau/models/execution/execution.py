"""One attempt to run one partition of a job on one node, its states and its outcome."""

from enum import IntEnum
from functools import lru_cache, reduce

import msgspec

from bacalhau.lib.errors import Conflict
from bacalhau.lib.wire import Model, always
from bacalhau.models.execution.proof import Proof
from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.retry import ENGINE_AWAY, FAILURE_KIND
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.uses import Reused

SHARED = 64  # states that executions share
OUTPUT_LIMIT = 2048  # bytes of each stream kept in the record; the full streams are in the result


class ComputeStateType(IntEnum):
    """Numbers are the wire's."""

    UNDEFINED = 0
    NEW = 1
    ASK_FOR_BID = 2
    ASK_FOR_BID_ACCEPTED = 3
    ASK_FOR_BID_REJECTED = 4
    BID_ACCEPTED = 5
    RUNNING = 6
    PUBLISHING = 7
    BID_REJECTED = 8
    COMPLETED = 9
    FAILED = 10
    CANCELLED = 11

    @property
    def label(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


class DesiredStateType(IntEnum):
    PENDING = 0
    RUNNING = 1
    STOPPED = 2


C = ComputeStateType
TERMINAL = frozenset({C.ASK_FOR_BID_REJECTED, C.BID_REJECTED, C.COMPLETED, C.FAILED, C.CANCELLED})

EXECUTION_MOVES: dict[ComputeStateType, frozenset[ComputeStateType]] = {
    C.UNDEFINED: frozenset({C.NEW}),
    C.NEW: frozenset({C.ASK_FOR_BID, C.ASK_FOR_BID_ACCEPTED, C.BID_ACCEPTED, C.RUNNING}) | TERMINAL,
    C.ASK_FOR_BID: frozenset({C.ASK_FOR_BID_ACCEPTED, C.BID_ACCEPTED}) | TERMINAL,
    C.ASK_FOR_BID_ACCEPTED: frozenset({C.BID_ACCEPTED}) | TERMINAL,
    C.BID_ACCEPTED: frozenset({C.RUNNING, C.PUBLISHING}) | TERMINAL,
    C.RUNNING: frozenset({C.PUBLISHING}) | TERMINAL,
    C.PUBLISHING: TERMINAL,
    C.FAILED: frozenset({C.PUBLISHING}),  # of outputs that the node kept
    C.CANCELLED: frozenset({C.PUBLISHING}),
} | {end: frozenset() for end in TERMINAL - {C.FAILED, C.CANCELLED}}

KEPT_UNTIL, KEPT_BYTES = "KeptUntil", "KeptBytes"
"""Keys in `ComputeState.Details` of an execution that ran and whose result was not published: until when its node keeps
the outputs (RFC 3339, "" for no longer), and their size.
"""


class ComputeState(Model):
    state_type: ComputeStateType = always(factory=lambda: ComputeStateType.UNDEFINED)
    message: str = ""
    details: dict[str, str] | None = None


class DesiredState(Model):
    state_type: DesiredStateType = always(factory=lambda: DesiredStateType.PENDING)
    message: str = ""
    details: dict[str, str] | None = None


# Many thousand executions of a job may end with the same words: they share one value.
@lru_cache(SHARED)
def _plain_state(state: ComputeStateType, message: str) -> ComputeState:
    return ComputeState(state_type=state, message=message)


@lru_cache(SHARED)
def _stopped(why: str) -> DesiredState:
    return DesiredState(state_type=DesiredStateType.STOPPED, message=why)


class RunCommandResult(Model):
    """`exit_code` -1: did not run. Streams hold at most OUTPUT_LIMIT bytes; the lower-case `stderr` is the wire's."""

    stdout: str = always(factory=str)
    stdout_truncated: bool = always(factory=bool)
    stderr: str = msgspec.field(default_factory=str, name="stderr")
    stderr_truncated: bool = always(factory=bool)
    exit_code: int = always(factory=int)
    error_msg: str = always(factory=str)

    @property
    def is_complete(self) -> bool:
        """Tell whether the record holds both streams to the byte: neither is cut, and all of it was text."""
        is_cut = self.stdout_truncated or self.stderr_truncated
        return not (is_cut or "\ufffd" in self.stdout or "\ufffd" in self.stderr)

    @property
    def is_whole(self) -> bool:
        """Tell whether the record alone tells what was printed: it is complete, and one stream at most printed, so that
        no order is missing.
        """
        return self.is_complete and not (self.stdout and self.stderr)


class AllocatedResources(Model):
    """Resources by task name."""

    tasks: dict[str, Resources] = always(factory=dict)


class Execution(Model):
    """`job` is the job as of creation; it is filled on the wire and in API answers, not in the stored row.

    `publisher` (ours) is set when outputs that the node kept are published later: where they go. None before.
    `proof` (ours) tells what it read and wrote; None where its node makes none, or there was nothing to tell.
    `reused` (ours) names the execution whose result it has, where it did not run itself.
    """

    id: str = always(factory=str)
    namespace: str = always(factory=str)
    eval_id: str = always(factory=str)
    name: str = always(factory=str)
    node_id: str = always(factory=str)
    job_id: str = always(factory=str)
    job: Job | None = None
    job_version: int = always(factory=int)
    allocated_resources: AllocatedResources = always(factory=AllocatedResources)
    desired_state: DesiredState = always(factory=DesiredState)
    compute_state: ComputeState = always(factory=ComputeState)
    published_result: SpecConfig = always(factory=SpecConfig)
    run_output: RunCommandResult | None = always(factory=RunCommandResult)
    previous_execution: str = always(factory=str)
    next_execution: str = always(factory=str)
    followup_eval_id: str = always(factory=str)
    partition_index: int = 0
    publisher: SpecConfig | None = None
    proof: Proof | None = None
    reused: Reused | None = None
    revision: int = always(factory=int)
    create_time: int = always(factory=int)
    modify_time: int = always(factory=int)

    @property
    def state(self) -> ComputeStateType:
        return self.compute_state.state_type

    @property
    def is_live(self) -> bool:
        """Still holds capacity on its node."""
        return not self.state.is_terminal and self.desired_state.state_type != DesiredStateType.STOPPED

    @property
    def failure_kind(self) -> str:
        """One of the kinds in `models/job/retry.py`, "" where none was told."""
        return (self.compute_state.details or {}).get(FAILURE_KIND, "")

    @property
    def kept_until(self) -> str:
        """The time (RFC 3339) until which its node keeps outputs that were not published; "" where it keeps none."""
        return (self.compute_state.details or {}).get(KEPT_UNTIL, "")

    @property
    def kept_details(self) -> dict[str, str]:
        """The part of its details that tells of kept outputs."""
        return {k: v for k, v in (self.compute_state.details or {}).items() if k in (KEPT_UNTIL, KEPT_BYTES)}

    @property
    def found_no_engine(self) -> bool:
        """It failed because its node could not reach the engine, which says nothing about the job."""
        return self.state == ComputeStateType.FAILED and self.failure_kind == ENGINE_AWAY

    @property
    def reserved(self) -> Resources:
        """The resources that the orchestrator set aside for it on its node."""
        parts = self.allocated_resources.tasks.values()
        return reduce(Resources.plus, parts) if parts else Resources()

    def moved(
        self,
        state: ComputeStateType,
        now: int,
        message: str = "",
        *,
        details: dict[str, str] | None = None,
        why: str = "",
    ) -> "Execution":
        """The execution in its next state. A terminal state also stops it, with `why` as the desired
        state's message.
        """
        if state not in EXECUTION_MOVES[self.state]:
            raise Conflict(f"execution {self.id} is {self.state.label} and cannot become {state.label}")
        if self.state == ComputeStateType.PUBLISHING and state != ComputeStateType.COMPLETED:
            details = self.kept_details | (details or {})
        return msgspec.structs.replace(
            self,
            compute_state=ComputeState(state_type=state, message=message, details=details)
            if details
            else _plain_state(state, message),
            desired_state=_stopped(why) if state.is_terminal else self.desired_state,
            revision=self.revision + 1,
            modify_time=now,
        )

    def publishing(self, publisher: SpecConfig, job_version: int, now: int) -> "Execution":
        """The execution when its node is to publish the outputs that it kept. It is live again, in a version of its
        job, and needs nothing but the disk.
        """
        if ComputeStateType.PUBLISHING not in EXECUTION_MOVES[self.state]:
            raise Conflict(f"execution {self.id} is {self.state.label} and has no outputs to publish")
        return msgspec.structs.replace(
            self,
            compute_state=ComputeState(state_type=ComputeStateType.PUBLISHING, details=self.kept_details),
            desired_state=DesiredState(state_type=DesiredStateType.RUNNING),
            allocated_resources=AllocatedResources(),
            publisher=publisher,
            job_version=job_version,
            revision=self.revision + 1,
            modify_time=now,
        )
