"""Services: each partition always has one execution that runs."""

from collections.abc import Sequence

from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.orchestrator.scheduling.partitions import by_partition, failures_in_order, place_open
from bacalhau.orchestrator.scheduling.steps import Context
from bacalhau.orchestrator.scheduling.view import Plan


def fill_service(job: Job, current: Sequence[Execution], outdated: Sequence[Execution], around: Context) -> Plan:
    """A partition whose execution of an older version still runs is in good hands until the roll-out comes to it."""
    partitions = by_partition(current)
    held = {e.partition_index for e in (*current, *outdated) if e.is_live}
    opened = {index: failures_in_order(partitions.get(index, [])) for index in range(job.wanted) if index not in held}
    return place_open(job, current, opened, around, is_served=bool(outdated))
