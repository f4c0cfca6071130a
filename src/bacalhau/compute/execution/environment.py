"""The environment variables a task sees."""

from collections.abc import Iterable, Mapping

from bacalhau.compute.state.ports import port_variables
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.network import PortMapping


def task_environment(
    job: Job, execution: Execution, own: Mapping[str, str], ports: Iterable[PortMapping]
) -> dict[str, str]:
    """The task's `own` variables, with the node's values where they ask for them, then the system's, which win."""
    system = {
        "BACALHAU_EXECUTION_ID": execution.id,
        "BACALHAU_JOB_ID": job.id,
        "BACALHAU_JOB_TYPE": job.type,
        "BACALHAU_PARTITION_INDEX": str(execution.partition_index),
        "BACALHAU_PARTITION_COUNT": str(job.wanted),
    }
    return dict(own) | system | port_variables(ports)
