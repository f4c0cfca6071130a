"""Hands a result tree to its publisher, and tries again here rather than running the task a second time."""

import asyncio
import logging
from pathlib import Path

from bacalhau.compute.core import ComputeNode, Running
from bacalhau.compute.remote.permit import Permit
from bacalhau.lib.errors import BacalhauError, PublisherFailure
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.progress import Report
from bacalhau.ports.publisher import Result

ATTEMPTS = 4
FIRST_DELAY = 1.0  # seconds, doubled each time
log = logging.getLogger(__name__)


async def publish_result(
    node: ComputeNode, execution: Execution, running: Running, folder: Path, report: Report
) -> SpecConfig:
    """An empty spec when the job names no publisher.

    Only the attempt that the orchestrator waits for publishes. A failure that a retry can help is tried ATTEMPTS times,
    then final.
    """
    job = execution.job or Job()
    spec = job.task.publisher or SpecConfig()
    if not (kind := job.task.publisher_type):
        return SpecConfig()
    publisher = node.plugins.publishers.get(kind)
    if publisher is None:
        raise PublisherFailure(f"this node cannot publish to {kind}")
    if objections := node.plugins.list_result_objections(job):
        raise PublisherFailure(objections)
    permit = Permit(node, execution, running)
    result = Result(folder, spec, job.id, execution.id, node.node_id, execution.create_time, permit.confirm)
    for attempt in range(ATTEMPTS):
        try:
            await permit.confirm()
            return await publisher.publish(result, report)
        except BacalhauError as e:
            if not e.retryable or attempt == ATTEMPTS - 1:
                raise PublisherFailure(e.message, hint=e.hint, retryable=False) from e
            log.warning("publishing %s will be tried again: %s", execution.id, e)
        await asyncio.sleep(FIRST_DELAY * 2**attempt)
    raise AssertionError("unreachable")
