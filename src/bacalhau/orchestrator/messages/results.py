"""The check of the results that nodes report.

Clients fetch what a record names, and the orchestrator signs links to it with its own keys. So a node may only report
what the publisher of the job can have made of that execution.
"""

import logging

from msgspec.structs import replace

from bacalhau.lib.clock import now_ns
from bacalhau.models.execution.event import Topic, make_event
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.retry import FAILURE_KIND, PUBLISH
from bacalhau.models.wire.messages import ComputeError, RunResult
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.publisher import Published

log = logging.getLogger(__name__)


async def without_false_result(
    orch: Orchestrator, execution: Execution, job: Job, message: RunResult | ComputeError
) -> RunResult | ComputeError:
    """Return a report as it is, or as a failure to publish where its result cannot be one of this execution."""
    result = message.publish_result
    if result is None or not result.type:
        return message
    if execution.job_version != job.version:
        job = await orch.store.get_job_version(job.id, execution.job_version)
    problems = orch.checks.list_result_problems(Published.of(execution, job, result))
    if not problems:
        return message
    text = f"the node reported a result that is refused: {'; '.join(problems)}"
    log.warning("execution %s at %s: %s", execution.id, execution.node_id, text)
    if isinstance(message, ComputeError):
        return replace(message, publish_result=None)
    event = make_event(Topic.PUBLISHING_RESULTS, text, now_ns(), **{"IsError": "true", FAILURE_KIND: PUBLISH})
    return ComputeError(
        execution_id=execution.id,
        job_id=job.id,
        job_type=message.job_type,
        events=(event,),
        run_command_result=message.run_command_result,
        proof=message.proof,
    )
