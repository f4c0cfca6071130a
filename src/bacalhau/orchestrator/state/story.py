"""The operator's log: one line for each job that changed its state and for each execution that failed."""

import logging

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import Job
from bacalhau.models.job.state import JobStateType

log = logging.getLogger(__name__)


def log_change(change: Change) -> None:
    """Log what an operator follows of a change that is stored: jobs that wait, run or ended, executions that failed."""
    for job in (*change.new_jobs, *change.jobs):
        _log_job(job)
    for execution in change.executions:
        if execution.compute_state.state_type == ComputeStateType.FAILED:
            _log_failed(execution)


def _log_job(job: Job) -> None:
    state = job.state
    level = logging.WARNING if state.state_type == JobStateType.FAILED else logging.INFO
    if state.state_type != JobStateType.PENDING:
        log.log(level, "job %s (%s): %s%s", job.id, job.name, state.state_type, _because(state.message))


def _log_failed(execution: Execution) -> None:
    text = "execution %s of job %s on node %s failed%s"
    reason = _because(execution.compute_state.message)
    log.warning(text, execution.id, execution.job_id, execution.node_id, reason)


def _because(message: str) -> str:
    return f": {message}" if message else ""
