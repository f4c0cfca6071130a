"""The choice of the node that runs an execution, and the reasons against every other node.

There may be 10,000 nodes. So each is first put into a class (`Fit`), and reasons are put into words only for the few
that somebody reads.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from enum import IntEnum
from itertools import islice, repeat
from typing import NamedTuple

from bacalhau.lib.ids import short_id
from bacalhau.models.job.job import LONG_RUNNING, Job, Task
from bacalhau.models.job.resources import Resources, ResourcesConfig
from bacalhau.models.job.selector import match_labels, meets_labels
from bacalhau.models.job.taken import kinds_of
from bacalhau.models.node.admission import list_objections
from bacalhau.models.node.node import APPROVED, CONNECTED, PENDING, ComputeNodeInfo, NodeState
from bacalhau.orchestrator.scheduling.candidates import Answers, Ask, Candidates, shape_of
from bacalhau.orchestrator.scheduling.sizes import is_large, list_size_objections
from bacalhau.orchestrator.scheduling.view import ANYWHERE, Candidate, Nearness, Refusal, Shortage


class Bars(NamedTuple):
    """Nodes that do not count for one job by now, and why: they `refused` it, are `kept` for another one, are
    `lacking` what others have, or could not reach their engine and are `away` for a while.
    """

    refused: Mapping[str, str] = {}
    kept: Mapping[str, str] = {}
    lacking: Mapping[str, str] = {}
    away: Mapping[str, str] = {}


NO_BARS = Bars()
TOLD = 5  # refusals that are put into words
_VERBS = {"engine": "run", "source": "read inputs from", "publisher": "publish to"}


def needed_resources(job: Job) -> Resources:
    return (job.task.resources or ResourcesConfig()).parsed()


def place(
    job: Job,
    need: Resources,
    candidates: Candidates,
    failures: Mapping[str, int],
    bars: Bars = NO_BARS,
    near: Nearness = ANYWHERE,
) -> str:
    """The best node with room: where the job failed least, then where most of its inputs are, then in their region,
    then where most is free (or least, when packing).

    "" when there is none.
    """
    never = _never(job, need, candidates)
    ports, most = job.task.static_ports, 0 if near is ANYWHERE else near.most
    best, lowest = "", 0.0
    passed_over = []
    room = candidates.with_room(need, never)
    for candidate, enough in _in_order(need, candidates, never, near) if near.nodes else zip(room, repeat(0.0)):
        node_id = candidate.node_id
        # All inputs together count less than one failure.
        rank = failures.get(node_id, 0) + ((most - near.measure(node_id)) / (most + 1) if most else 0.0)
        if best and rank >= lowest:
            continue
        if never(candidate) or _excuse(candidate) or not candidate.holds(need):
            never.has_no_room(node_id)
        elif _is_barred(node_id, bars) or not ports.isdisjoint(candidate.ports):
            passed_over.append(node_id)
        else:
            best, lowest = node_id, rank
            if rank <= enough:
                break
    if not best:
        candidates.note_search(never, passed_over)
    return best


def _in_order(
    need: Resources, candidates: Candidates, never: Answers, near: Nearness
) -> Iterator[tuple[Candidate, float]]:
    """Yield the nodes that may have room, those of the inputs' region first, each with the rank that is good enough to
    end the search: no node that follows has a better one, but perhaps some of a region that is nearly full.
    """
    yield from ((candidate, 0.0) for candidate in candidates.some_with_room(need, never, near.nodes))
    enough = 1 / (near.most + 1)
    yield from ((candidate, enough) for candidate in candidates.with_room(need, never))


class Fit(IntEnum):
    """The answer of a node to the question whether it takes one more execution of a job, the best one first.

    NOW: it does. BUSY: it would, were others not there. AWAY: it takes nothing at the moment. NEVER: it could not even
    take the job when it is idle.
    """

    NOW = 0
    BUSY = 1
    AWAY = 2
    NEVER = 3


Answer = tuple[Candidate, Fit]


class Matching:
    """The comparison of one job with nodes: by class for all of them, in words for some."""

    __slots__ = ("_bars", "_need", "_never", "_ports", "_refused")

    def __init__(self, job: Job, need: Resources, candidates: Candidates, bars: Bars = NO_BARS) -> None:
        self._never, self._need, self._bars = _never(job, need, candidates), need, bars
        self._ports = job.task.static_ports
        self._refused = Fit.AWAY if job.type in LONG_RUNNING else Fit.NEVER

    def judge(self, candidate: Candidate) -> Fit:
        """Find the class of a node's answer."""
        return self._find(candidate)[0]

    def refuse(self, candidate: Candidate) -> Refusal | None:
        """Say in words why a node cannot take one more execution of the job now; None when it can."""
        fit, reason = self._find(candidate)
        if fit == Fit.NOW:
            return None
        node_id = candidate.node_id
        if fit == Fit.BUSY:
            return Refusal(node_id, self._word_busy(candidate), False, is_busy=True)
        return Refusal(node_id, reason or self._never.explain(candidate), fit == Fit.NEVER)

    def _find(self, candidate: Candidate) -> tuple[Fit, str]:
        """Find the class, and the reason where it is there already."""
        node_id, bars = candidate.node_id, self._bars
        if self._never(candidate):
            return Fit.NEVER, ""
        if node_id in bars.lacking:
            return Fit.NEVER, bars.lacking[node_id]
        if node_id in bars.refused:
            return self._refused, bars.refused[node_id]
        if excuse := _excuse(candidate) or bars.away.get(node_id):
            return Fit.AWAY, excuse
        has_room = candidate.holds(self._need) and self._ports.isdisjoint(candidate.ports) and node_id not in bars.kept
        return (Fit.NOW if has_room else Fit.BUSY), ""

    def _word_busy(self, candidate: Candidate) -> str:
        taken = self._ports & candidate.ports
        if taken:
            return f"busy: port {min(taken)} is in use"
        busy = candidate.lacks(self._need)
        return "busy: " + "; ".join(busy) if busy else self._bars.kept[candidate.node_id]


def list_able(job: Job, need: Resources, candidates: Candidates) -> list[Candidate]:
    """The connected nodes that could ever run the job."""
    never = _never(job, need, candidates)
    return [
        candidate
        for candidate in candidates
        if candidate.node.connection_state.status == CONNECTED and not never(candidate)
    ]


def find_able(job: Job, need: Resources, candidates: Candidates) -> Set[str]:
    """Find the ids of the nodes that could ever run the job, connected or not."""
    never = _never(job, need, candidates)
    candidates.ask_all(never)
    return never.able


def find_shortage(job: Job, need: Resources, candidates: Candidates, bars: Bars = NO_BARS) -> Shortage:
    """Sum up why no node takes the job, where `place` found none.

    Only the refusals that people are told of are put into words, so the number of nodes hardly matters.
    """
    never = _never(job, need, candidates)
    candidates.ask_all(never)
    out = {*bars.lacking, *(() if job.type in LONG_RUNNING else bars.refused)} & never.able
    count = len(never.able) - len(out)
    relevant = (c for c in candidates if not count or (c.node_id in never.able and c.node_id not in out))
    matching = Matching(job, need, candidates, bars)
    refusals = (matching.refuse(candidate) for candidate in relevant)
    told = tuple(islice((refusal for refusal in refusals if refusal is not None), TOLD))
    return Shortage(told, count or len(candidates.by_id), not count)


def sum_up(matching: Matching, refused: Sequence[Answer]) -> Shortage:
    """Sum up the answers of all nodes, none of which takes the job now."""
    could = [answer for answer in refused if answer[1] != Fit.NEVER]
    relevant = could or refused
    told = (matching.refuse(candidate) for candidate, _ in relevant[:TOLD])
    return Shortage(tuple(refusal for refusal in told if refusal is not None), len(relevant), not could)


def decide_claim(job: Job, need: Resources, candidates: Candidates, bars: Bars = NO_BARS) -> str:
    """The node to keep free for a job that has waited for long: of those that others keep busy the one that lacks
    least.

    "" when there is none.
    """
    never, ports = _never(job, need, candidates), job.task.static_ports
    best: tuple[int, bool, float, int, str] | None = None
    for node_id, candidate in candidates.by_id.items():
        lacking = candidate.count_lacks(need)
        if not lacking and node_id not in bars.kept:
            continue
        free = candidate.free
        rank = (-lacking, need.gpu > 0 or not candidate.has_gpus, free.cpu, free.memory, node_id)
        if best is not None and rank < best:
            continue
        if not (never(candidate) or _excuse(candidate) or _is_out(node_id, bars)) and ports.isdisjoint(candidate.ports):
            best = rank
    return best[-1] if best else ""


def _never(job: Job, need: Resources, candidates: Candidates) -> Answers:
    """Say why a node could not even take the job when it is idle; decided once per node and shape of job, but for its
    labels once per kind of node.
    """

    too_large = is_large(job)

    def of_kind(node: NodeState) -> list[str]:
        offer = node.info.compute
        size = list_size_objections(too_large, node)
        return _mismatches(job.task, offer) + size + offer.max_job_requirements.lacks(need)

    constraints = job.constraints or ()

    def is_never(node: NodeState, objections: list[str]) -> bool:
        is_able = node.membership == APPROVED and not objections
        return not (is_able and meets_labels(constraints, node.info.labels or {}))

    def word(node: NodeState, objections: list[str]) -> str:
        return _membership(node) or "; ".join(objections + match_labels(constraints, node.info.labels or {}))

    return candidates.answers(shape_of(job, need), Ask(of_kind, is_never, word))


def _is_barred(node_id: str, bars: Bars) -> bool:
    return node_id in bars.kept or _is_out(node_id, bars)


def _is_out(node_id: str, bars: Bars) -> bool:
    """Tell whether a node does not count for a job by now, whoever else has its room."""
    return node_id in bars.refused or node_id in bars.lacking or node_id in bars.away


def _membership(node: NodeState) -> str:
    if node.membership == APPROVED:
        return ""
    return "waits for approval" if node.membership == PENDING else f"is {node.membership.lower()}"


def _excuse(candidate: Candidate) -> str:
    """Say why the node takes nothing at the moment."""
    if candidate.node.cordoned:
        return "is being drained" if candidate.node.drain else "is cordoned"
    return "" if candidate.node.connection_state.status == CONNECTED else "is not connected"


def _mismatches(task: Task, offer: ComputeNodeInfo) -> list[str]:
    offered = {"engine": offer.execution_engines, "source": offer.storage_sources, "publisher": offer.publishers}
    reasons = []
    for name, role in _parts(task):
        if name not in (offered[role] or ()):
            reasons.append(offer.unavailable.get(f"{name} {role}") or f"cannot {_VERBS[role]} {name}")
    return reasons + list_objections(task, offer.policy)


def _parts(task: Task) -> list[tuple[str, str]]:
    """The plug-ins that the task needs, by name and role."""
    found = [
        (task.engine.type, "engine"),
        *((kind, "source") for item in task.input_sources or () for kind in kinds_of(item.source)),
    ]
    if task.publisher_type:
        found.append((task.publisher_type, "publisher"))
    return [(kind.strip().lower(), role) for kind, role in found]


def find_cure(job: Job, candidates: Candidates) -> str:
    """Find a cure where no node runs the job: a node's own word on what it lacks, if there is one."""
    parts = [f"{name} {role}" for name, role in _parts(job.task)]
    told = (cure for candidate in candidates for part in parts if (cure := candidate.node.info.compute.cures.get(part)))
    return next(told, "see `bacalhau node list`")


def explain(job: Job, shortage: Shortage) -> str:
    """Say in one line why no node can run a job, the reason first: `cannot reach the Docker API at … (n-1234): no node
    can run docker`.
    """
    kind = job.task.engine.kind
    if not shortage.number:
        return f"no compute node has joined: no node can run {kind}"
    nodes: dict[str, list[str]] = {}
    for refusal in shortage.told:
        nodes.setdefault(refusal.reason, []).append(short_id(refusal.node_id))
    reasons = "; ".join(f"{reason} ({', '.join(ids)})" for reason, ids in nodes.items())
    return f"{reasons}{_more(shortage, TOLD)}: no node can run {kind}"


def explain_waiting(shortage: Shortage) -> str:
    """Say why the job waits: what the nodes that could run it are short of, or why none of them could."""
    if not shortage.number:
        return "waiting for a compute node to join"
    return f"waiting for {'a matching node' if shortage.is_hopeless else 'capacity'}: {_tell(shortage)}"


def explain_absence(shortage: Shortage) -> str:
    """Say why a job that runs on every matching node runs on none."""
    is_away = not shortage.is_hopeless
    return f"waiting for a matching node: {_tell(shortage)}" if is_away else "waiting for a matching node to join"


def _tell(shortage: Shortage) -> str:
    return "; ".join(f"{short_id(r.node_id)} {r.reason}" for r in shortage.told[:3]) + _more(shortage, 3)


def _more(shortage: Shortage, told: int) -> str:
    return f" (and {shortage.number - told} more nodes)" if shortage.number > told else ""
