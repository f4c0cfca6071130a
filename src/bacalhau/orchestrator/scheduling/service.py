"""Services: each partition always has one execution that runs."""

from bacalhau.models.execution.view import JobView
from bacalhau.orchestrator.scheduling.partitions import place_open
from bacalhau.orchestrator.scheduling.steps import Context
from bacalhau.orchestrator.scheduling.view import Plan


def fill_service(view: JobView, around: Context) -> Plan:
    """Plan the partitions that nothing runs for.

    A partition whose execution of an older version still runs is served by it until the roll-out reaches it.
    """
    return place_open(view, around)
