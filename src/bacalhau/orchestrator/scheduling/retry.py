"""Decisions whether a failed execution is tried again, and when."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.models.job.retry import ENDED, EXIT_CODE, FAILURE_KIND, MAX_BACKOFF, RetryPolicy
from bacalhau.orchestrator.scheduling.view import SECOND

MAX_RETRIES = 3
FIRST_DELAY = 1  # seconds, doubled after each failure: 1, 2, 4 s
STABLE_NS = 600 * SECOND  # a service or daemon that ran so long was well: what failed before it does not count any more
REFUSAL_HOLDS_NS = 60 * SECOND  # a refusal may be of the moment: a port in use, a probe that could not ask
LONGEST_AWAY = 60  # seconds between attempts on a node that cannot reach its engine
SHORT_REFUSAL_NS = 3 * SECOND  # of what always runs: its own predecessor may still have the port


class Verdict(NamedTuple):
    """`give_up` is the error that ends the attempts; `not_before` (Unix ns) is when the next one may start."""

    give_up: str = ""
    hint: str = ""
    not_before: int = 0


def decide_retry(job: Job, failed: Sequence[Execution]) -> Verdict:
    """`failed`: the failed executions of one partition (or node) and job version, oldest first."""
    if not failed:
        return Verdict()
    policy = job.task.retry or RetryPolicy()
    last, count = failed[-1], count_failures(job.type, failed)
    if not _may_help(job.type, policy, last) or count > _limit(job.type, policy):
        return Verdict(
            give_up=last.compute_state.message or "execution failed",
            hint=(last.compute_state.details or {}).get("Hint", ""),
        )
    first = FIRST_DELAY if policy.backoff is None else policy.backoff
    return Verdict(not_before=last.modify_time + min(first * 2 ** min(count - 1, 20), MAX_BACKOFF) * SECOND)


def _may_help(job_type: str, policy: RetryPolicy, last: Execution) -> bool:
    details = last.compute_state.details or {}
    kind = details.get(FAILURE_KIND, "")
    if kind == ENDED:
        return True
    if policy.on is not None:
        return policy.wants(kind)
    return job_type == "daemon" or details.get("Retryable") == "true"


def _limit(job_type: str, policy: RetryPolicy) -> float:
    if policy.max is not None:
        return policy.max
    return float("inf") if job_type in LONG_RUNNING else MAX_RETRIES


def count_failures(job_type: str, failed: Sequence[Execution]) -> int:
    """Count the failures that still matter, from the last one back to the last time it ran well."""
    if job_type not in LONG_RUNNING:
        return len(failed)
    count = 0
    for execution in reversed(failed):
        count += 1
        if execution.modify_time - execution.create_time >= STABLE_NS:
            break
    return count


def decide_fault(job: Job, exit_code: int) -> tuple[str, str]:
    """Decide whether a run that ended in order counts as failed: the message and its kind; ("", "") when it did not."""
    if job.type in LONG_RUNNING:
        return "execution completed unexpectedly", ENDED
    if exit_code and (job.task.retry or RetryPolicy()).wants(EXIT_CODE):
        return f"the task ended with exit code {exit_code}", EXIT_CODE
    return "", ""


def is_failure(execution: Execution) -> bool:
    """Tell whether the execution failed for a reason that says something about the job: not that its node could not
    reach the engine.
    """
    return execution.state == ComputeStateType.FAILED and not execution.found_no_engine


def list_away(executions: Iterable[Execution], returned: Callable[[str], int]) -> dict[str, tuple[Execution, int]]:
    """List by node the latest execution that found no engine there, and until when (Unix ns) the node is left alone: 2,
    4, 8 … 60 s after it.

    `returned` (node id) tells when the node had the engine again, Unix ns: what failed before that does not count.
    """
    counts: dict[str, int] = {}
    found = {}
    failed = (e for e in executions if e.found_no_engine and e.modify_time > returned(e.node_id))
    for execution in sorted(failed, key=lambda e: e.modify_time):
        count = counts[execution.node_id] = counts.get(execution.node_id, 0) + 1
        pause = min(2 ** min(count, 10), LONGEST_AWAY)
        found[execution.node_id] = (execution, execution.modify_time + pause * SECOND)
    return found


def refusal_holds(job_type: str) -> int:
    return SHORT_REFUSAL_NS if job_type in LONG_RUNNING else REFUSAL_HOLDS_NS


def list_refusals(job_type: str, executions: Iterable[Execution], now: int) -> dict[str, Execution]:
    """List by node the latest refusal that still holds. It says something of that node only, and costs no attempt."""
    refused = [
        e
        for e in executions
        if e.state == ComputeStateType.ASK_FOR_BID_REJECTED and e.modify_time + refusal_holds(job_type) > now
    ]
    return {e.node_id: e for e in sorted(refused, key=lambda e: e.modify_time)}
