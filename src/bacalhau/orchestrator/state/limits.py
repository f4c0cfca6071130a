"""Limits of how much of the past is kept: the limits of the configuration, as the store takes them."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bacalhau.lib.clock import now_ns
from bacalhau.ports.store import Limits

SECOND = 1_000_000_000

OnForgotten = Callable[[list[str]], Awaitable[None]]
"""Takes the ids of executions that are no longer known, for those who keep something of theirs."""


async def forget_nothing(execution_ids: list[str]) -> None:
    """The OnForgotten of those who keep nothing."""


class Retention(NamedTuple):
    """Ages in seconds, counts in things; 0 is no limit."""

    jobs_age: float = 0
    jobs_count: int = 0
    dead_letters_count: int = 0
    content_age: float = 0
    executions_age: float = 0
    executions_count: int = 0
    history_count: int = 0
    versions_count: int = 0
    undelivered_age: float = 0
    nodes_age: float = 0


def limits_of(age: float, count: int) -> Limits:
    return Limits(now_ns() - int(age * SECOND) if age else 0, count)
