"""Hands a result tree to its publisher, and tries again here rather than running the task a second time."""

import logging
from pathlib import Path

from bacalhau.compute.core import ComputeNode, Running
from bacalhau.compute.remote.permit import Permit
from bacalhau.lib.errors import BacalhauError, PublisherFailure
from bacalhau.lib.patience import Effort, passing_failures
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.proof import Written
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.publisher import Result

log = logging.getLogger(__name__)


async def publish_result(
    node: ComputeNode, execution: Execution, running: Running, written: Written, folder: Path, report: Report
) -> SpecConfig:
    """An empty spec when the job names no publisher. `written` takes the files with their digests.

    Only the attempt that the orchestrator waits for publishes. A failure that a retry can help is tried again while the
    node's patience lasts, then it is final.
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
    result = Result(folder, spec, job.id, execution.id, node.node_id, execution.create_time, permit.confirm, written)
    told = _Told(report)

    async def attempt() -> SpecConfig:
        await permit.confirm()
        with passing_failures():
            try:
                return await publisher.publish(result, told.report)
            except BacalhauError as e:
                if e.retryable:
                    log.warning("publishing %s did not succeed: %s", execution.id, e)
                raise

    try:
        return await Effort(node.patience, told.wait, heard=True).persist(attempt, lambda: told.most)
    except BacalhauError as e:
        raise PublisherFailure(e.message, hint=e.hint, retryable=False) from e


class _Told:
    """The last step that a publisher reported, and the most bytes that it had stored in any attempt."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._step = Step("publishing")
        self.most = 0

    def report(self, step: Step) -> None:
        self._step, self.most = step, max(self.most, step.bytes_done)
        self._report(step)

    def wait(self, note: str) -> None:
        self._report(self._step._replace(note=note))
