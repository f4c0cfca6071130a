"""The values that a scheduler sees, and those that it answers."""

from collections.abc import Mapping, Set
from typing import NamedTuple

from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import HistoryEntry
from bacalhau.models.job.job import EVERYWHERE, Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import APPROVED, NodeState

SECOND = 1_000_000_000
SLICE = 100
"""Executions that one plan starts at most, and that it ends at most: what a job of 100,000 parts wants besides comes
with its next plans, so that everybody else waits for one slice only.
"""
RETRYING = "retrying after: "
"""How a wait begins that is one before another attempt, not one for room."""
RESULT = "waiting for the result of job "
"""How a wait begins that is one for another job's result."""
TURN = "waiting for its turn"
"""How a wait begins that is one for other jobs to start something first."""
QUOTA = "waiting for quota: "
"""How a wait begins that is one for the quota of the job's namespace, whatever room there is."""
FENCED = f"{RETRYING}the right of the last attempt to publish has run out"
Slot = int | str
"""The place of a job in which one execution at a time may be live: a partition's number, or the id of a node where the
job runs on every node.
"""


def slot_of(execution: Execution, job_type: str) -> Slot:
    return execution.node_id if job_type in EVERYWHERE else execution.partition_index


class Fence(NamedTuple):
    """The slots of a job that must stay empty for now, because an attempt in them may still publish.

    `slots`: until when (Unix ns) each of them. `used`: until when all that ever had an execution, because it is not
    known what an earlier process of the orchestrator permitted.
    """

    slots: Mapping[Slot, int] = {}
    used: int = 0

    def until(self, slot: Slot, *, was_used: bool) -> int:
        """Return until when (Unix ns) the slot must stay empty; a time that is over, or 0, where it need not."""
        return max(self.slots.get(slot, 0), self.used if was_used else 0)


OPEN = Fence()


class Candidate(NamedTuple):
    """A known node and what is free on it now.

    `lost_at`: Unix ns from which it counts as lost, 0 while it is connected. `ports` are in use by the `running`
    executions there. `returned`: when (Unix ns) each engine that it had lacked was there again.
    """

    node: NodeState
    free: Resources
    lost_at: int = 0
    ports: frozenset[int] = frozenset()
    running: int = 0
    returned: Mapping[str, int] = {}

    @property
    def node_id(self) -> str:
        return self.node.info.node_id

    @property
    def has_gpus(self) -> bool:
        return self.node.info.compute.max_capacity.gpu > 0

    @property
    def is_well(self) -> bool:
        """The node is there, let in and not being drained: nothing has to leave it."""
        return not self.lost_at and self.node.membership == APPROVED and not self.node.drain

    @property
    def is_full(self) -> bool:
        """The node has as many executions as it takes at once."""
        limit = self.node.info.compute.max_executions
        return limit > 0 and self.running >= limit

    def holds(self, need: Resources) -> bool:
        """There is room for one more execution."""
        return not self.is_full and self.free.holds(need)

    def count_lacks(self, need: Resources) -> int:
        """Count what `lacks` would list."""
        return self.free.count_lacks(need) + self.is_full

    def lacks(self, need: Resources) -> list[str]:
        """List what is in use and missing for one more execution, one text each; empty when there is room."""
        short = [text.replace("has", "free") for text in self.free.lacks(need)]
        limit = self.node.info.compute.max_executions
        return [*short, f"{self.running} of {limit} executions"] if self.is_full else short

    def is_lost(self, now: int) -> bool:
        """Away for longer than the grace."""
        return bool(self.lost_at) and now > self.lost_at


class Shortage(NamedTuple):
    """The reasons why no node takes a job now: the first few of the refusals that matter, and the `number` of all of
    them.

    `is_hopeless`: they are those of all nodes, because none could ever take it; otherwise of those that could.
    """

    told: tuple["Refusal", ...]
    number: int
    is_hopeless: bool


class Refusal(NamedTuple):
    """The reason why a node cannot take a job now; `never`: not even when it is idle. `is_busy`: it could, were others
    not there.
    """

    node_id: str
    reason: str
    never: bool
    is_busy: bool = False


HERE = 1 << 50
"""The weight of an input that is on a node as a whole: more than the bytes of any cache."""


class Holders(NamedTuple):
    """The answers of nodes about a job's inputs: how much of them each has already, and which nodes cannot have one at
    all, and why. `held` counts `HERE` for an input that is wholly there, and the bytes that are in the node's cache.
    """

    held: Mapping[str, int] = {}
    lacking: Mapping[str, str] = {}


NOT_TOLD = Holders()


class Nearness(NamedTuple):
    """The reasons that make some nodes better than others for a job: what they have of its inputs (`held`, see
    `Holders`), and then whether they are in the region of its inputs (`nodes`).
    """

    held: Mapping[str, int] = {}
    nodes: Set[str] = frozenset()

    @property
    def most(self) -> int:
        """Return the largest measure that a node may have."""
        return 2 * max(self.held.values(), default=0) + bool(self.nodes)

    def measure(self, node_id: str) -> int:
        """Measure how near a node is: what it holds counts before its region."""
        return 2 * self.held.get(node_id, 0) + (node_id in self.nodes)


ANYWHERE = Nearness()


class Claim(NamedTuple):
    """A node that is kept free for a job which has waited for long. Jobs that are more urgent need not mind."""

    node_id: str
    job_id: str


class Plan(NamedTuple):
    """The wanted change of one job. `asks` go to their nodes, `cancels` stop there.

    `waiting`: why something that is wanted has no node yet; `next_evaluation`: Unix ns of the next look, 0 none.
    `waits_on`: the nodes for which it waits, where no other one will do; None where any will. `is_partial`: there is
    more to start or to end than one plan may, so the job is evaluated again at once.
    """

    job: Job | None = None
    asks: tuple[Execution, ...] = ()
    updates: tuple[Execution, ...] = ()
    cancels: tuple[Execution, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    waiting: str = ""
    next_evaluation: int = 0
    waits_on: frozenset[str] | None = None
    is_partial: bool = False

    @property
    def size(self) -> int:
        """Number of executions that change."""
        return len(self.asks) + len(self.updates) + len(self.cancels)

    @property
    def wants_room(self) -> bool:
        return bool(self.waiting) and not self.waiting.startswith((RETRYING, QUOTA, RESULT))

    @property
    def wants_quota(self) -> bool:
        return self.waiting.startswith(QUOTA)

    @property
    def backs_off(self) -> bool:
        """It waits before another attempt."""
        return self.waiting.startswith(RETRYING)

    @property
    def is_empty(self) -> bool:
        return self.job is None and not (self.asks or self.updates or self.cancels)


def queue_order(job: Job) -> tuple[int, int, str]:
    """Order jobs: the more urgent first, then the one that has waited longer."""
    return (-job.priority, job.submitted, job.id)


def earliest(*times: int) -> int:
    """The first of the times that are set; 0 when none is."""
    return min(filter(None, times), default=0)
