"""The one way in which a client's request changes a job that others may change at the same moment.

The scheduler and other clients write the same job. So a request reads the job, decides, and writes on the condition
that nobody was faster; otherwise it reads and decides anew.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from bacalhau.lib.errors import Conflict, NotFound
from bacalhau.models.execution.plan import Change, HistoryEntry
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import Job
from bacalhau.models.job.submission import Submission
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluate import commit_and_evaluate
from bacalhau.orchestrator.jobs.late import Late, holding
from bacalhau.orchestrator.state.views import FEW

ATTEMPTS = 10


class Decision(NamedTuple):
    """A job as it shall be, with the event that says so. `before` is the job as it was, None for a new one. `late` are
    executions whose kept outputs are published. `submission` is kept where its client chose a token.
    """

    job: Job
    entry: HistoryEntry
    before: JobView | None = None
    late: Late = Late()
    submission: Submission | None = None


D = TypeVar("D", bound=Decision | None)


async def change_job(orch: Orchestrator, name: str, decide: Callable[[], Awaitable[D]]) -> D:
    """Decide and commit, as often as others were faster, ten times at most. Return the decision that was committed.

    Where there is nothing to change, `decide` returns None. An error of `decide` ends the request at once. Raises
    Conflict when the job keeps changing.
    """
    for _ in range(ATTEMPTS):
        decision = await decide()
        if decision is None:
            return decision
        job, before = decision.job, decision.before
        new, changed = ((job,), ()) if before is None else ((), (job,))
        late = decision.late
        change = Change(
            new_jobs=new,
            jobs=changed,
            executions=late.executions,
            history=(decision.entry, *late.history),
            messages=late.messages,
            submissions=(decision.submission,) if decision.submission else (),
        )
        try:
            with holding(orch, late.executions, job):
                await commit_and_evaluate(orch, change, job.id, _changed_view(decision))
            return decision
        except Conflict:
            orch.views.forget(job.id)
    raise Conflict(f"job {name} keeps changing", hint="send the same request again")


def _changed_view(decision: Decision) -> JobView | None:
    """Return the view of a job as it shall be; None for a large one, whose view is changed by the commit."""
    if decision.before is None:
        return JobView(decision.job, ())
    if decision.before.size > FEW:
        return None
    return decision.before.with_job(decision.job).with_executions(decision.late.executions)


async def read_view(orch: Orchestrator, job_id: str, namespace: str) -> JobView:
    """Read a job with its executions, by id, name or prefix. Raises NotFound, also when it is forgotten meanwhile."""
    job = await orch.store.find_job(job_id, namespace)
    view = (await orch.views.load(orch.store, [job.id])).get(job.id)
    if view is None:
        raise NotFound(f"job not found: {job_id}", component="JobStore")
    return view
