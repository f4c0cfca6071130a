"""Whether a partition that failed is tried again, and when."""

from collections.abc import Sequence
from typing import NamedTuple

from bacalhau.models.execution import ComputeStateType, Execution

MAX_RETRIES = 3
FIRST_DELAY_NS = 1_000_000_000  # doubled after each failure: 1, 2, 4 s


class Verdict(NamedTuple):
    """`give_up` is the error that ends the job; `not_before` (Unix ns) is when the next attempt may start."""

    give_up: str = ""
    hint: str = ""
    not_before: int = 0


def decide_retry(failed: Sequence[Execution]) -> Verdict:
    """`failed`: the failed executions of one partition and job version, oldest first."""
    if not failed:
        return Verdict()
    last = failed[-1]
    details = last.compute_state.details or {}
    if details.get("Retryable") != "true" or len(failed) > MAX_RETRIES:
        return Verdict(give_up=last.compute_state.message or "execution failed", hint=details.get("Hint", ""))
    return Verdict(not_before=last.modify_time + FIRST_DELAY_NS * 2 ** (len(failed) - 1))


def is_failure(execution: Execution) -> bool:
    """Refused bids count as failures of the node, so that the next attempt prefers another."""
    return execution.state in (ComputeStateType.FAILED, ComputeStateType.ASK_FOR_BID_REJECTED)
