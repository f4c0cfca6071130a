"""Which node runs an execution, and for every other node why not."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from bacalhau.lib.ids import short_id
from bacalhau.models.admission import list_objections
from bacalhau.models.job import Job
from bacalhau.models.node import APPROVED, CONNECTED, PENDING, ComputeNodeInfo
from bacalhau.models.resources import Resources, ResourcesConfig
from bacalhau.models.selector import match_labels
from bacalhau.orchestrator.scheduling.view import Refusal, Seat

ENOUGH = 16  # nodes with room to choose among: with more of them the choice is hardly better, and takes longer


class Placement(NamedTuple):
    """`node_id` "" when no node can take it now: then `refusals` are all nodes'. `place` is the node's among the seats."""

    node_id: str
    refusals: tuple[Refusal, ...] = ()
    place: int = -1

    @property
    def is_hopeless(self) -> bool:
        """No known node could ever take it."""
        return not self.node_id and all(r.never for r in self.refusals)


def needed_resources(job: Job) -> Resources:
    return (job.task.resources or ResourcesConfig()).parsed()


def match_node(job: Job, need: Resources, seat: Seat) -> Refusal | None:
    """None when the node can take one more execution of the job now."""
    node = seat.node
    if node.membership != APPROVED:
        return Refusal(seat.node_id, "waits for approval" if node.membership == PENDING else f"is {node.membership.lower()}", True)
    if seat.refused:
        return Refusal(seat.node_id, seat.refused, True)
    never = _mismatches(job, node.info.compute, node.info.labels or {}) + node.info.compute.max_job_requirements.lacks(need)
    if never:
        return Refusal(seat.node_id, "; ".join(never), True)
    if node.cordoned:
        return Refusal(seat.node_id, "is being drained" if node.drain else "is cordoned", False)
    if node.connection_state.status != CONNECTED:
        return Refusal(seat.node_id, "is not connected", False)
    busy = seat.free.lacks(need)
    return Refusal(seat.node_id, "busy: " + "; ".join(busy).replace("has", "free"), False) if busy else None


def _mismatches(job: Job, offer: ComputeNodeInfo, labels: Mapping[str, str]) -> list[str]:
    task = job.task
    wanted = [(task.engine.type, "engine", "run", offer.execution_engines)]
    wanted += [(s.source.type, "source", "read inputs from", offer.storage_sources) for s in task.input_sources or ()]
    if task.publisher and not task.publisher.is_type("", "noop"):
        wanted.append((task.publisher.type, "publisher", "publish to", offer.publishers))
    reasons = []
    for kind, role, verb, offered in wanted:
        name = kind.strip().lower()
        if name not in (offered or ()):
            reasons.append(offer.unavailable.get(f"{name} {role}") or f"cannot {verb} {name}")
    return reasons + list_objections(task, offer.policy) + match_labels(job.constraints or (), labels)


def _rank(seat: Seat, failures: Mapping[str, int]) -> tuple[int, float, int, str]:
    """Lower is better: fewest failures of this job, then most free CPU and memory, so that work spreads."""
    return failures.get(seat.node_id, 0), -seat.free.cpu, -seat.free.memory, seat.node_id


def place(job: Job, need: Resources, seats: Sequence[Seat], failures: Mapping[str, int], start: int = 0) -> Placement:
    """The best of the first ENOUGH nodes with room, looked for from seat `start` on and around; or every node's refusal."""
    fitting: list[int] = []
    start = start % len(seats) if seats else 0
    for index in chain(range(start, len(seats)), range(start)):
        if seats[index].free.holds(need) and match_node(job, need, seats[index]) is None:
            fitting.append(index)
            if len(fitting) == ENOUGH:
                break
    if not fitting:
        return Placement("", tuple(filter(None, (match_node(job, need, seat) for seat in seats))))
    best = min(fitting, key=lambda index: _rank(seats[index], failures))
    return Placement(seats[best].node_id, place=best)


def explain(job: Job, refusals: Sequence[Refusal]) -> str:
    """One line a person can act on: `no node can run docker: n-1234: cannot reach the Docker API at …`."""
    kind = job.task.engine.type.strip().lower()
    if not refusals:
        return f"no node can run {kind}: no compute node has joined"
    told = refusals[:5]
    more = f" (and {len(refusals) - len(told)} more nodes)" if len(refusals) > len(told) else ""
    return f"no node can run {kind}: " + "; ".join(f"{short_id(r.node_id)}: {r.reason}" for r in told) + more


def explain_waiting(refusals: Sequence[Refusal]) -> str:
    """Why the job waits: what the nodes that could run it are short of."""
    could = [r for r in refusals if not r.never] or list(refusals)
    if not could:
        return "waiting for a compute node to join"
    told = could[:3]
    more = f" (and {len(could) - len(told)} more nodes)" if len(could) > len(told) else ""
    return "waiting for capacity: " + "; ".join(f"{short_id(r.node_id)} {r.reason}" for r in told) + more
