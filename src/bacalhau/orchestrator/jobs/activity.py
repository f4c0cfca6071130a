"""A short account of what the orchestrator does at this moment: jobs by state, the queue by reason, live executions.

It is made from what is in memory, in bounded time, so that it can be asked for every few seconds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import islice

from bacalhau.lib.clock import now_ns, rfc3339
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.models.job.state import JobStateType
from bacalhau.models.wire.activity import ActivityResponse, LiveExecution, QueuedJobs
from bacalhau.models.wire.messages import Progress
from bacalhau.orchestrator.core import Orchestrator

_MOST_SEEN = 20_000  # live executions, of which the newest are chosen
_MOST_REASONS = 20
_WAITING = (JobStateType.PENDING, JobStateType.QUEUED)


def find_activity(orch: Orchestrator, namespace: str, limit: int) -> ActivityResponse:
    """Tell what goes on, with at most `limit` executions. `namespace` "" or "*" is all."""
    views = [v for v in orch.views.all() if namespace in ("", "*", v.job.namespace)]
    newest = nlargest(limit, _live(views), key=lambda found: found[0].create_time)
    return ActivityResponse(
        time=rfc3339(now_ns()),
        jobs=dict(Counter(v.job.state.state_type.value for v in views if not v.job.is_done)),
        queue=_by_reason(v.job for v in views if v.job.state.state_type in _WAITING),
        live=sum(len(on_node) for v in views for on_node in v.live_on.values()),
        executions=tuple(_row(orch, execution, job) for execution, job in newest),
    )


def _live(views: Iterable[JobView]) -> Iterator[tuple[Execution, Job]]:
    return islice(((execution, v.job) for v in views for execution in v.live()), _MOST_SEEN)


def _by_reason(jobs: Iterable[Job]) -> tuple[QueuedJobs, ...]:
    """Count jobs by what they wait for, most first. Beyond so many reasons the rest are left out."""
    found: dict[str, tuple[int, int]] = {}
    for job in jobs:
        reason = job.state.message or job.state.state_type.value
        count, oldest = found.get(reason, (0, job.create_time))
        found[reason] = (count + 1, min(oldest, job.create_time))
    most = sorted(found.items(), key=lambda item: -item[1][0])[:_MOST_REASONS]
    return tuple(QueuedJobs(reason=reason, jobs=count, oldest=rfc3339(oldest)) for reason, (count, oldest) in most)


def _row(orch: Orchestrator, execution: Execution, job: Job) -> LiveExecution:
    step = orch.board.latest(execution.job_id, execution.id) or Progress()
    return LiveExecution(
        id=execution.id,
        job_id=job.id,
        job_name=job.name,
        node_id=execution.node_id,
        stage=step.stage or execution.state.label,
        created=rfc3339(execution.create_time),
        bytes_done=step.bytes_done,
        bytes_total=step.bytes_total,
    )
