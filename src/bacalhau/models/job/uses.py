"""The wish of a job to use earlier results again, and the mark of an execution that did."""

from bacalhau.lib.wire import Model


class Reuse(Model):
    """The wish of a job. `max_age` is a duration such as 24h, "" for results of any age.

    With `unpinned` also results are used again of which not all that decided them is known. `looked` is when (Unix ns)
    the orchestrator looked for results of this version, 0 before.
    """

    enabled: bool = False
    max_age: str = ""
    unpinned: bool = False
    looked: int = 0


class Reused(Model):
    """The execution whose result is used again; `completed` is when it ended, Unix ns."""

    job_id: str = ""
    job_version: int = 0
    execution_id: str = ""
    completed: int = 0
