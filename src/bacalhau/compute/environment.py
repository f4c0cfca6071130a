"""The environment variables a task sees."""

from bacalhau.models.execution import Execution
from bacalhau.models.job import Job


def task_environment(job: Job, execution: Execution) -> dict[str, str]:
    """The task's own variables, then the system's, which win."""
    system = {
        "BACALHAU_EXECUTION_ID": execution.id,
        "BACALHAU_JOB_ID": job.id,
        "BACALHAU_JOB_TYPE": job.type,
        "BACALHAU_PARTITION_INDEX": str(execution.partition_index),
        "BACALHAU_PARTITION_COUNT": str(job.wanted),
    }
    return dict(job.task.env or {}) | system
