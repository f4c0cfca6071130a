"""Events of a job and its executions, in words for people and keys for programs."""

from enum import StrEnum

import msgspec

from bacalhau.lib.clock import rfc3339
from bacalhau.lib.errors import BacalhauError
from bacalhau.lib.wire import Model, always


class Topic(StrEnum):
    SUBMISSION = "Submission"
    STATE_UPDATE = "State Update"
    SCHEDULING = "Scheduling"
    QUEUEING = "Queueing"
    EXECUTION = "Execution"
    EXEC_SCANNING = "Exec Scanning"
    DOWNLOADING_INPUTS = "Downloading Inputs"
    PREPARING_ENVIRONMENT = "Preparing Environment"
    RUNNING_EXECUTION = "Running Execution"
    PUBLISHING_RESULTS = "Publishing Results"
    RESTART = "Restart"
    JOB_TIMEOUT = "Job Timeout"
    EXEC_TIMEOUT = "Exec Timeout"


class Event(Model):
    """`details` keys with a meaning: IsError, Hint, Retryable, FailureKind, FailsExecution, NewState, ErrorCode,
    NodeID.
    """

    message: str = always(factory=str)
    topic: str = always(factory=str)
    timestamp: str = always(factory=str)
    details: dict[str, str] | None = None

    @property
    def is_error(self) -> bool:
        return (self.details or {}).get("IsError") == "true"


class StateChange(Model):
    """A change of state of the job (words) or the execution (numbers). Clients before 1.5 want to see one; none is
    recorded.
    """

    previous: str | int = always(factory=int)
    new: str | int = always(factory=int)


class JobHistory(Model):
    """`type` is JobLevel or ExecutionLevel; `seq_num` starts at 1 per job."""

    seq_num: int = always(factory=int)
    type: str = always(factory=str)
    job_id: str = always(factory=str)
    job_version: int = always(factory=int)
    execution_id: str = ""
    event: Event = always(factory=Event)
    time: str = always(factory=str)
    job_state: StateChange | None = None
    execution_state: StateChange | None = None


def with_states(item: JobHistory) -> JobHistory:
    """Add states to an event, for clients that need them: unknown ones."""
    return msgspec.structs.replace(
        item, job_state=StateChange(previous="Undefined", new="Undefined"), execution_state=StateChange()
    )


def make_event(topic: Topic, message: str, now: int, **details: str) -> Event:
    return Event(message=message, topic=topic, timestamp=rfc3339(now), details=details or None)


def error_event(topic: Topic, error: BacalhauError, now: int) -> Event:
    """Keeps code, hint and whether a retry can help."""
    details = {"IsError": "true", "ErrorCode": error.code, "FailsExecution": "true"}
    if error.hint:
        details["Hint"] = error.hint
    if error.retryable:
        details["Retryable"] = "true"
    return make_event(topic, error.message, now, **details)
