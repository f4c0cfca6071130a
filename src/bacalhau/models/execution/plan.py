"""The changes that a decision leads to, as one value that the store applies whole or not at all."""

from bacalhau.lib.wire import Model
from bacalhau.models.execution.event import Event
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.reuse import ReuseKey
from bacalhau.models.job.submission import Submission


class HistoryEntry(Model):
    """An event of a job, or of one of its executions when `execution_id` is set."""

    job_id: str
    job_version: int
    event: Event
    execution_id: str = ""


class OutgoingMessage(Model):
    """A message to a node, kept until acknowledged. `body` is the encoded payload, `type` its wire name."""

    node_id: str
    type: str
    body: bytes


class Change(Model):
    """One transaction.

    `reuse_keys` are written where they are not there yet. A submission whose token is there already is a conflict.

    Jobs and executions are written only if the stored revision is one less than theirs (new ones: 1).
    """

    new_jobs: tuple[Job, ...] = ()
    jobs: tuple[Job, ...] = ()
    new_executions: tuple[Execution, ...] = ()
    executions: tuple[Execution, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    messages: tuple[OutgoingMessage, ...] = ()
    reuse_keys: tuple[ReuseKey, ...] = ()
    submissions: tuple[Submission, ...] = ()
