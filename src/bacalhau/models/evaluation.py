"""A note that a job must be looked at again, and why."""

from enum import StrEnum

from bacalhau.lib.wire import Model, always


class Trigger(StrEnum):
    JOB_REGISTER = "job-register"
    JOB_UPDATE = "job-update"
    JOB_CANCEL = "job-cancel"
    JOB_QUEUE = "job-queue"
    JOB_TIMEOUT = "job-timeout"
    EXEC_UPDATE = "exec-update"
    EXEC_TIMEOUT = "exec-timeout"
    NODE_JOIN = "node-join"
    NODE_LEAVE = "node-leave"
    RESTART = "orchestrator-restart"


class Evaluation(Model):
    """`wait_until` is Unix ns; 0 is now."""

    id: str = always(factory=str)
    job_id: str = always(factory=str)
    triggered_by: str = always(factory=str)
    wait_until: int = always(factory=int)
    create_time: int = always(factory=int)
