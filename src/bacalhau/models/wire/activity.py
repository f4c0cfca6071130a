"""The account in answers of the API of what the orchestrator does at this moment. Ours alone."""

from bacalhau.lib.wire import Model, always


class QueuedJobs(Model):
    """Jobs that wait for one reason: how many, and since when the oldest of them is there (RFC 3339)."""

    reason: str = always(factory=str)
    jobs: int = always(factory=int)
    oldest: str = always(factory=str)


class LiveExecution(Model):
    """An execution that a node has now. `stage` is the latest that the node told, or the state; `created` is RFC 3339;
    counts in bytes, 0 where they are not known.
    """

    id: str = always(factory=str)
    job_id: str = always(factory=str)
    job_name: str = always(factory=str)
    node_id: str = always(factory=str)
    stage: str = always(factory=str)
    created: str = always(factory=str)
    bytes_done: int = 0
    bytes_total: int = 0


class ActivityResponse(Model):
    """`time` is the server's clock (RFC 3339). `jobs` counts those that have not ended, by state; `live` is the number
    of executions on nodes, of which `executions` are the newest.
    """

    time: str = always(factory=str)
    jobs: dict[str, int] = always(factory=dict)
    queue: tuple[QueuedJobs, ...] = always(factory=tuple)
    live: int = always(factory=int)
    executions: tuple[LiveExecution, ...] = always(factory=tuple)
