"""What a scheduler sees and what it answers: values only."""

from collections.abc import Mapping
from typing import NamedTuple

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import HistoryEntry
from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import NodeState

SECOND = 1_000_000_000
RETRYING = "retrying after: "
"""How a wait begins that is one before another attempt, not one for room."""


class Candidate(NamedTuple):
    """A known node and what is free on it now.

    `lost_at`: Unix ns from which it counts as lost, 0 while it is connected. `ports` are in use.
    """

    node: NodeState
    free: Resources
    lost_at: int = 0
    ports: frozenset[int] = frozenset()

    @property
    def node_id(self) -> str:
        return self.node.info.node_id

    def is_lost(self, now: int) -> bool:
        """Away for longer than the grace."""
        return bool(self.lost_at) and now > self.lost_at


class Refusal(NamedTuple):
    """Why a node cannot take a job now; `never`: not even when it is idle. `is_busy`: it could, were others
    not there.
    """

    node_id: str
    reason: str
    never: bool
    is_busy: bool = False


class Holders(NamedTuple):
    """What nodes told of a job's inputs: how many of them each has already, and which nodes cannot have one at all, and
    why.
    """

    held: Mapping[str, int] = {}
    lacking: Mapping[str, str] = {}


NOT_TOLD = Holders()


class Claim(NamedTuple):
    """A node that is kept free for a job which has waited for long.

    Jobs that come before it in the queue's `order` need not mind.
    """

    node_id: str
    job_id: str
    order: tuple[int, int, str]


class Plan(NamedTuple):
    """The wanted change of one job. `asks` go to their nodes, `cancels` stop there.

    `waiting`: why something that is wanted has no node yet; `next_evaluation`: Unix ns of the next look, 0 none.
    """

    job: Job | None = None
    asks: tuple[Execution, ...] = ()
    updates: tuple[Execution, ...] = ()
    cancels: tuple[Execution, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    waiting: str = ""
    next_evaluation: int = 0

    @property
    def wants_room(self) -> bool:
        return bool(self.waiting) and not self.waiting.startswith(RETRYING)

    @property
    def is_empty(self) -> bool:
        return self.job is None and not (self.asks or self.updates or self.cancels)


def queue_order(job: Job) -> tuple[int, int, str]:
    """Who waits longer or is more urgent comes first."""
    return (-job.priority, job.submitted, job.id)


def earliest(*times: int) -> int:
    """The first of the times that are set; 0 when none is."""
    return min(filter(None, times), default=0)
