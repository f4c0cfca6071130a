"""Batch jobs: each partition until it has completed once."""

from collections.abc import Sequence

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.job.job import Job
from bacalhau.orchestrator.scheduling.partitions import by_partition, failures_in_order, place_open
from bacalhau.orchestrator.scheduling.steps import Context, finish
from bacalhau.orchestrator.scheduling.view import Plan


def fill_batch(job: Job, current: Sequence[Execution], outdated: Sequence[Execution], around: Context) -> Plan:
    """`current` are the executions of this version; `outdated`, those of older versions that still run, do not matter
    here.
    """
    partitions = by_partition(current)
    opened: dict[int, list[Execution]] = {}
    done = 0
    for index in range(job.wanted):
        mine = partitions.get(index, [])
        if any(e.state == ComputeStateType.COMPLETED for e in mine):
            done += 1
        elif not any(e.is_live for e in mine):
            opened[index] = failures_in_order(mine)
    return finish(job, around.now) if done == job.wanted else place_open(job, current, opened, around)
