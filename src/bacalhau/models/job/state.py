"""The states of a job and the only legal moves between them."""

from enum import StrEnum

from bacalhau.lib.errors import Conflict


class JobStateType(StrEnum):
    UNDEFINED = "Undefined"
    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @classmethod
    def _missing_(cls, value: object) -> "JobStateType":
        found = next((s for s in cls if s.value.lower() == str(value).lower()), None)
        return found or cls.UNDEFINED

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


S = JobStateType
TERMINAL = frozenset({S.COMPLETED, S.FAILED, S.STOPPED})

# Any state goes back to Pending when the job is updated or run again. What failed or was stopped is completed when the
# outputs that nodes kept are published later.
JOB_MOVES: dict[JobStateType, frozenset[JobStateType]] = {
    S.UNDEFINED: frozenset({S.PENDING}),
    S.PENDING: frozenset({S.PENDING, S.QUEUED, S.RUNNING, S.COMPLETED, S.FAILED, S.STOPPED}),
    S.QUEUED: frozenset({S.PENDING, S.QUEUED, S.RUNNING, S.COMPLETED, S.FAILED, S.STOPPED}),
    S.RUNNING: frozenset({S.PENDING, S.QUEUED, S.RUNNING, S.COMPLETED, S.FAILED, S.STOPPED}),
    S.COMPLETED: frozenset({S.PENDING}),
    S.FAILED: frozenset({S.PENDING, S.COMPLETED}),
    S.STOPPED: frozenset({S.PENDING, S.COMPLETED}),
}


def check_job_move(job_id: str, old: JobStateType, new: JobStateType) -> None:
    """Check a move from one state to another. Raises Conflict for one that is not in the table."""
    if new not in JOB_MOVES[old]:
        kind = "terminal state" if old.is_terminal else "state"
        raise Conflict(f"job {job_id} is in {kind} {old} and cannot transition to {new}", component="JobStore")
