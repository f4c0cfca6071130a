"""Batch jobs: each partition until it has completed once."""

from bacalhau.models.execution.view import JobView
from bacalhau.orchestrator.scheduling.partitions import place_open
from bacalhau.orchestrator.scheduling.steps import Context, finish
from bacalhau.orchestrator.scheduling.view import Plan


def fill_batch(view: JobView, around: Context) -> Plan:
    """Plan the partitions of this version. Executions of older versions do not matter here."""
    is_complete = len(view.tally.completed) == view.job.wanted
    return finish(view.job, around.now) if is_complete else place_open(view, around)
