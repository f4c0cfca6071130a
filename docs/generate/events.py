"""The page of events, made from their topics and from the states of jobs and executions."""

from collections.abc import Iterable

from bacalhau.models.execution.event import Topic
from bacalhau.models.execution.execution import EXECUTION_MOVES, ComputeStateType
from bacalhau.models.job.state import JOB_MOVES, JobStateType
from generate.tables import code, marked, table

HEAD = """# Events

The history of a job is a list of events. `bacalhau job history ID` shows it, `GET /api/v1/orchestrator/jobs/{job_id}/history` gives it page by
page, and `GET …/jobs/{job_id}/events` streams it as Server-Sent Events.

An event has a `Topic`, a `Message` for people, a `Timestamp`, and `Details` for programs:

| detail | meaning |
|---|---|
| `IsError` | `true` where something went wrong |
| `ErrorCode` | the kind of failure: see [Error codes](errors.md) |
| `Hint` | what to do about it |
| `Retryable` | `true` where another attempt may help |
| `FailureKind` | `node-lost`, `pull`, `staging`, `publish`, `engine` or `exit-code`, the words of `Retry.On`; or `timeout`, `ended`, `cancelled` or `engine-away` |
| `FailsExecution` | `true` where the execution has failed by it |
| `NewState` | the state of the job after it |
| `NodeID` | the node that it is about |

"""
STREAM = """
## The stream

`GET /api/v1/orchestrator/events` tells what happens to all jobs from now on, `…/jobs/{job_id}/events` what happens to one from its beginning. Each event
has an id. A client that sends the last one as `Last-Event-ID` goes on after it. Kinds of events: `history` (as above), `progress` (the
latest stage of each live execution), and `end` (the job is over).
"""
# A topic or state without a line here stops the build.
TOPICS = {
    "SUBMISSION": "The job, or a new version of it, was accepted.",
    "STATE_UPDATE": "The job's state changed, or somebody asked for a change of it: a stop, a new version, a rerun.",
    "SCHEDULING": "What an evaluation decided, and why nodes were passed over.",
    "QUEUEING": "The job waits, with the reason.",
    "EXECUTION": "An execution began, ended or failed.",
    "EXEC_SCANNING": "A node refused the execution, with its reason. Another node is tried.",
    "DOWNLOADING_INPUTS": "Inputs are brought to the node, or could not be.",
    "PREPARING_ENVIRONMENT": "The image is pulled and the container made, or could not be.",
    "RUNNING_EXECUTION": "The task runs.",
    "PUBLISHING_RESULTS": "The result is published, waits for its store, or could not be.",
    "RESTART": "A node came back without a record of what it ran.",
    "JOB_TIMEOUT": "A time limit of the whole job was reached.",
    "EXEC_TIMEOUT": "A time limit of one execution was reached.",
}
JOBS = {
    "UNDEFINED": "Never stored; the older generation's word for unknown.",
    "PENDING": "Accepted, not evaluated yet.",
    "QUEUED": "Waits: for room, its turn, a quota, its inputs' list, another job, or the time of its next attempt. The message says for what.",
    "RUNNING": "Has live executions.",
    "COMPLETED": "Everything it asked for has been done.",
    "FAILED": "It cannot be done; the message says why.",
    "STOPPED": "Somebody stopped it.",
}
EXECUTIONS = {
    "UNDEFINED": "Never stored.",
    "NEW": "Placed on a node, which has not taken it yet.",
    "ASK_FOR_BID": "An orchestrator of another make asked the node whether it takes it.",
    "ASK_FOR_BID_ACCEPTED": "The node takes it.",
    "ASK_FOR_BID_REJECTED": "The node refused it.",
    "BID_ACCEPTED": "The node has it, and prepares inputs and image.",
    "RUNNING": "The task runs.",
    "PUBLISHING": "The task has run; its result is published.",
    "BID_REJECTED": "It is not wanted any more, before it began.",
    "COMPLETED": "Its result is published.",
    "FAILED": "It failed; the message says why. Outputs that a node kept can still be published.",
    "CANCELLED": "It was stopped.",
}


def page() -> str:
    """Return the page. Raises KeyError for a topic or a state that is not described."""
    topics = [(marked(topic), TOPICS[topic.name]) for topic in Topic]
    return (
        HEAD
        + table(["topic", "meaning"], topics)
        + "\n## States of a job\n\n"
        + table(["state", "meaning", "next"], ((code(s), JOBS[s.name], _next(JOB_MOVES[s])) for s in JobStateType))
        + "\n## States of an execution\n\nOn the wire a state is its number.\n\n"
        + table(
            ["number", "state", "meaning", "next"],
            ((s.value, code(s.label), EXECUTIONS[s.name], _next(EXECUTION_MOVES[s])) for s in ComputeStateType),
        )
        + STREAM
    )


def _next(states: Iterable[JobStateType | ComputeStateType]) -> str:
    return ", ".join(sorted(s.label if isinstance(s, ComputeStateType) else s.value for s in states))
