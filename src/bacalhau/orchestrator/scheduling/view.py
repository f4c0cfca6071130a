"""What a scheduler sees and what it answers: values only."""

from typing import NamedTuple

from bacalhau.models.execution import Execution
from bacalhau.models.job import Job
from bacalhau.models.node import NodeState
from bacalhau.models.plan import HistoryEntry
from bacalhau.models.resources import Resources


class Seat(NamedTuple):
    """A known node, what is free on it now, and whether it has been away for longer than the grace.

    `refused`: why it would not take the job that is looked at, "" if it was not asked or said nothing against it.
    """

    node: NodeState
    free: Resources
    is_lost: bool = False
    refused: str = ""

    @property
    def node_id(self) -> str:
        return self.node.info.node_id


class Refusal(NamedTuple):
    """Why a node cannot take a job now; `never`: not even when it is idle."""

    node_id: str
    reason: str
    never: bool


class Plan(NamedTuple):
    """The wanted change of one job. `asks` go to their nodes, `cancels` stop there.

    `waiting`: why some partition has no node yet (the job waits for capacity); `look_again`: Unix ns of the next look, 0 none.
    """

    job: Job | None = None
    asks: tuple[Execution, ...] = ()
    updates: tuple[Execution, ...] = ()
    cancels: tuple[Execution, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    waiting: str = ""
    look_again: int = 0

    @property
    def is_empty(self) -> bool:
        return self.job is None and not (self.asks or self.updates or self.cancels)
