"""Whether a partition that failed is tried again, and when."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bacalhau.models.execution import ComputeStateType, Execution

MAX_RETRIES = 3
FIRST_DELAY_NS = 1_000_000_000  # doubled after each failure: 1, 2, 4 s
REFUSAL_HOLDS_NS = 60_000_000_000  # a refusal may be of the moment: a port in use, a probe that could not ask


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
    return execution.state == ComputeStateType.FAILED


def list_refusals(executions: Iterable[Execution], now: int) -> dict[str, Execution]:
    """By node, the latest refusal that still holds. It says something of that node only, and costs no attempt."""
    refused = [e for e in executions if e.state == ComputeStateType.ASK_FOR_BID_REJECTED and e.modify_time + REFUSAL_HOLDS_NS > now]
    return {e.node_id: e for e in sorted(refused, key=lambda e: e.modify_time)}
