"""All nodes as places for work: in the order of their free room, and with the answer to "could it ever run this?" kept
by shape of job.

A burst of jobs of one shape on a thousand nodes costs one question per node, not one per node and job; and nodes of one
kind, which are the same but for their labels and their room, share most of the answer.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple

from bacalhau.lib.wire import encode
from bacalhau.models.job.job import Job
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.taken import kinds_of
from bacalhau.models.node.node import CONNECTED, NodeState
from bacalhau.orchestrator.scheduling.sizes import is_large
from bacalhau.orchestrator.scheduling.view import Candidate

SHAPES = 256  # answers are kept for so many shapes of jobs
MANY_LEADS = 64  # nodes to examine one by one; beyond it the ordered lists are as good
MANY_GROWN = 1000  # nodes where something became free that are remembered at least
REGION_LABELS = ("region", "topology.kubernetes.io/region", "zone", "topology.kubernetes.io/zone")
_ZONE = re.compile(r"(.*[0-9])-?[a-z]")
KINDS = 256  # answers of so many kinds of nodes are kept for each shape
Place = tuple[float, int, str]  # free CPU, free memory, node id


class News(Enum):
    """The meaning of a change of a node for jobs that wait.

    ROOM: it has room that it did not have. OFFER: it may take other jobs than before, or is there again. SHUT: it takes
    nothing for now.
    """

    ROOM = auto()
    OFFER = auto()
    SHUT = auto()


def _nothing_listens(node_id: str, news: News) -> None:
    return None


class Ask(NamedTuple):
    """A question to nodes, in two steps. `of_kind` lists the objections that all nodes of a kind have. With them and
    what is the node's own, `is_never` gives the answer and `word` the reason, which few nodes are asked for.
    """

    of_kind: Callable[[NodeState], list[str]]
    is_never: Callable[[NodeState, list[str]], bool]
    word: Callable[[NodeState, list[str]], str]


class Answers:
    """The answers of nodes to one shape of job, kept until the node changes. `kinds` holds the kind of each node.

    `never` says by node whether it could not even take the job when it is idle; `able` are the nodes that could.
    `leads` are the only nodes that may have room for it, None where that is not known; `read` is how much
    of the list of growing nodes they include.
    """

    __slots__ = ("_ask", "_kinds", "_of_kind", "able", "leads", "never", "read")

    def __init__(self, ask: Ask, kinds: Mapping[str, bytes]) -> None:
        self._ask = ask
        self._kinds = kinds
        self._of_kind: dict[bytes, list[str]] = {}
        self.never: dict[str, bool] = {}
        self.able: set[str] = set()
        self.leads: set[str] | None = None
        self.read = 0

    def __call__(self, candidate: Candidate) -> bool:
        node_id = candidate.node_id
        found = self.never.get(node_id)
        if found is None:
            found = self.never[node_id] = self._ask.is_never(candidate.node, self._ask_kind(candidate))
            if not found:
                self.able.add(node_id)
        return found

    def explain(self, candidate: Candidate) -> str:
        """Say why a node could not even take the job when it is idle."""
        return self._ask.word(candidate.node, self._ask_kind(candidate))

    def _ask_kind(self, candidate: Candidate) -> list[str]:
        kind = self._kinds[candidate.node_id]
        found = self._of_kind.get(kind)
        if found is None:
            if len(self._of_kind) >= KINDS:
                self._of_kind.clear()
            found = self._of_kind[kind] = self._ask.of_kind(candidate.node)
        return found

    def forget(self, node_id: str) -> None:
        self.never.pop(node_id, None)
        self.able.discard(node_id)

    def has_no_room(self, node_id: str) -> None:
        """Leave the node out until something becomes free there."""
        if self.leads is not None:
            self.leads.discard(node_id)


class Candidates:
    """All nodes, those without GPUs and those with GPUs each in the order of their free CPU and memory.

    Jobs that need no GPU get nodes without GPUs first. Within that, `pack` fills nodes one after the other; otherwise
    work spreads to where most is free.

    A search for room that found none is remembered (`Answers.leads`): the next one for the same shape examines only the
    nodes where something became free since, however many nodes there are.

    `on_news` is called with every change that may concern jobs which wait, except inside a trial.
    """

    def __init__(self, candidates: Iterable[Candidate] = (), *, pack: bool = False) -> None:
        self.by_id: dict[str, Candidate] = {}
        self.pack = pack
        self._plain: list[Place] = []
        self._with_gpus: list[Place] = []
        self._answers: dict[Hashable, Answers] = {}
        self._kinds: dict[str, bytes] = {}
        self._in_region: dict[str, set[str]] = {}
        self._before: dict[str, Candidate] | None = None
        self._grown: list[str] = []  # nodes where something became free, in this order
        self._grown_before = 0  # so many more were dropped from the beginning of the list
        self.on_news: Callable[[str, News], None] = _nothing_listens
        for candidate in candidates:
            self.put(candidate)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.by_id.values())

    def put(self, candidate: Candidate) -> None:
        node_id = candidate.node_id
        old = self.by_id.get(node_id)
        self._set(old, candidate)
        if old is None or _offer(old.node) != _offer(candidate.node):
            self._kinds[node_id] = _kind_of(candidate.node)
            self._note_regions(old, candidate)
            for answers in self._answers.values():
                answers.forget(node_id)
        news = _find_news(old, candidate)
        if news is not None:
            self._note_growth(node_id)
            self.on_news(node_id, news)

    def drop(self, node_id: str) -> None:
        """The node is not known any more."""
        old = self.by_id.pop(node_id, None)
        if old is not None:
            self._remove_place(old)
            self._note_regions(old, None)
            del self._kinds[node_id]
            for answers in self._answers.values():
                answers.forget(node_id)
            self.on_news(node_id, News.OFFER)

    def set_free(
        self, node_id: str, free: Resources, ports: frozenset[int] | None = None, running: int | None = None
    ) -> None:
        """Something ended there. `ports` in use and the number of `running` executions stay where not given."""
        self._change(node_id, free, ports, running)
        self._note_growth(node_id)
        self.on_news(node_id, News.ROOM)

    def _change(self, node_id: str, free: Resources, ports: frozenset[int] | None, running: int | None) -> None:
        old = self.by_id[node_id]
        if self._before is not None:
            self._before.setdefault(node_id, old)
        self._set(
            old,
            old._replace(
                free=free,
                ports=old.ports if ports is None else ports,
                running=old.running if running is None else running,
            ),
        )

    def _set(self, old: Candidate | None, new: Candidate) -> None:
        if old is not None:
            self._remove_place(old)
        self.by_id[new.node_id] = new
        if not new.is_full:
            insort(self._list_of(new), _place(new))

    def _remove_place(self, candidate: Candidate) -> None:
        order, place = self._list_of(candidate), _place(candidate)
        at = bisect_left(order, place)
        if at < len(order) and order[at] == place:
            del order[at]

    def _list_of(self, candidate: Candidate) -> list[Place]:
        return self._with_gpus if candidate.has_gpus else self._plain

    def _note_growth(self, node_id: str) -> None:
        self._grown.append(node_id)
        if len(self._grown) > 2 * MANY_GROWN:
            del self._grown[:MANY_GROWN]
            self._grown_before += MANY_GROWN

    def take(self, node_id: str, need: Resources, ports: frozenset[int] = frozenset()) -> None:
        """Set room aside there for one more execution, for good or inside a trial."""
        candidate = self.by_id[node_id]
        self._change(node_id, candidate.free.minus(need), candidate.ports | ports, candidate.running + 1)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Give back at the end of the block what is taken inside."""
        self._before = {}
        try:
            yield
        finally:
            before, self._before = self._before, None
            for node_id, candidate in before.items():
                self._change(node_id, candidate.free, candidate.ports, candidate.running)
                self._note_growth(node_id)

    def with_room(self, need: Resources, answers: Answers | None = None) -> Iterator[Candidate]:
        """Yield the nodes that may have room, the best place first. Nothing may be taken while this goes on."""
        leads = self._find_leads(answers)
        if leads is not None:
            yield from leads
            return
        walk = _walk_up if self.pack else _walk_down
        for order in (self._with_gpus,) if need.gpu else (self._plain, self._with_gpus):
            for node_id in walk(order, need):
                yield self.by_id[node_id]

    def some_with_room(self, need: Resources, answers: Answers, nodes: Set[str]) -> list[Candidate]:
        """List those of some nodes that may have room, the best place first. Of many nodes, only those are listed that
        have most room of all: the others are in a part of the cluster that is nearly full.
        """
        if len(nodes) > MANY_LEADS:
            return [each for each in islice(self.with_room(need, answers), MANY_GROWN) if each.node_id in nodes]
        return self._sorted(self.by_id[node_id] for node_id in nodes if node_id in self.by_id)

    def in_regions(self, regions: Iterable[str]) -> Set[str]:
        """Find the nodes whose labels say that they are in one of these regions."""
        return frozenset[str]().union(*(self._in_region.get(region, ()) for region in regions))

    def _note_regions(self, old: Candidate | None, new: Candidate | None) -> None:
        """Keep the nodes of each region together, as their labels change."""
        if old is not None:
            for region in regions_of(old.node):
                self._in_region[region].discard(old.node_id)
        if new is not None:
            for region in regions_of(new.node):
                self._in_region.setdefault(region, set()).add(new.node_id)

    def _sorted(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        found = sorted(candidates, key=_place, reverse=not self.pack)
        found.sort(key=lambda candidate: candidate.has_gpus)
        return found

    def _find_leads(self, answers: Answers | None) -> list[Candidate] | None:
        """List the nodes that may have room for this shape, None where all must be examined."""
        if answers is None or answers.leads is None:
            return None
        end = self._grown_before + len(self._grown)
        if answers.read < self._grown_before or len(answers.leads) + end - answers.read > MANY_LEADS:
            answers.leads = None
            return None
        answers.leads.update(self._grown[answers.read - self._grown_before :])
        answers.read = end
        return self._sorted(self.by_id[node_id] for node_id in answers.leads if node_id in self.by_id)

    def note_search(self, answers: Answers, passed_over: Iterable[str]) -> None:
        """Remember that all nodes were examined and none has room for this shape, but perhaps those `passed_over`."""
        answers.leads = set(passed_over)
        answers.read = self._grown_before + len(self._grown)

    def answers(self, shape: Hashable, ask: Ask) -> Answers:
        """Return what is known of a shape; `ask` is put to each kind of node, and each node, once."""
        known = self._answers.get(shape)
        if known is None:
            if len(self._answers) >= SHAPES:
                del self._answers[next(iter(self._answers))]
            known = self._answers[shape] = Answers(ask, self._kinds)
        return known

    def ask_all(self, answers: Answers) -> None:
        """Have the answer of every node to this shape."""
        if len(answers.never) < len(self.by_id):
            for candidate in self.by_id.values():
                answers(candidate)


def shape_of(job: Job, need: Resources) -> Hashable:
    """Jobs of one shape are the same to every node."""
    task = job.task
    return (
        task.engine.type,
        tuple(kinds_of(item.source) for item in task.input_sources or ()),
        task.publisher.type if task.publisher else "",
        (task.network or NetworkConfig()).type,
        tuple((c.key, c.operator, c.values) for c in job.constraints or ()),
        (need.cpu, need.memory, need.disk, need.gpu),
        is_large(job),
    )


def regions_of(node: NodeState) -> set[str]:
    """Read the regions and zones that a node's labels name; a zone like `us-east-1a` is in the region `us-east-1`."""
    labels = node.info.labels
    if not labels:
        return set()
    named = {labels[name] for name in REGION_LABELS if labels.get(name)}
    return named | {found[1] for name in named if (found := _ZONE.fullmatch(name))}


def _place(candidate: Candidate) -> Place:
    return (candidate.free.cpu, candidate.free.memory, candidate.node_id)


def _walk_down(order: list[Place], need: Resources) -> Iterator[str]:
    """Yield the nodes with enough CPU and memory, from most to least. Of nodes with as much CPU, those with too little
    memory are passed over in one step.
    """
    first, index = bisect_left(order, (need.cpu - 1e-9, 0, "")), len(order) - 1
    while index >= first:
        cpu, memory, node_id = order[index]
        if memory < need.memory:
            index = bisect_left(order, (cpu, 0, ""), first, index) - 1
        else:
            yield node_id
            index -= 1


def _walk_up(order: list[Place], need: Resources) -> Iterator[str]:
    """Yield the same nodes as `_walk_down` the other way round."""
    index = bisect_left(order, (need.cpu - 1e-9, 0, ""))
    while index < len(order):
        cpu, memory, node_id = order[index]
        if memory < need.memory:
            index = bisect_left(order, (cpu, need.memory, ""), index)
        else:
            yield node_id
            index += 1


def _has_grown(old: Candidate, new: Candidate) -> bool:
    """Tell whether something fits there now that did not fit before."""
    return new.running < old.running or not old.free.holds(new.free) or not old.ports <= new.ports


def _find_news(old: Candidate | None, new: Candidate) -> News | None:
    is_open, was_open = _is_open(new.node), old is not None and _is_open(old.node)
    if old is None or _offer(old.node) != _offer(new.node) or (is_open and not was_open):
        return News.OFFER
    if was_open and not is_open:
        return News.SHUT
    return News.ROOM if _has_grown(old, new) else None


def _is_open(node: NodeState) -> bool:
    return node.connection_state.status == CONNECTED and not node.cordoned


def _kind_of(node: NodeState) -> bytes:
    """Everything about a node on which an answer may depend, but its membership and its labels."""
    compute = node.info.compute
    plugins = (compute.execution_engines, compute.storage_sources, compute.publishers, compute.unavailable)
    return encode((plugins, compute.max_job_requirements, compute.policy, node.native))


def _offer(node: NodeState) -> tuple[object, ...]:
    """Everything about a node on which an answer may depend."""
    compute = node.info.compute
    return (
        node.membership,
        node.native,
        node.info.labels,
        compute.execution_engines,
        compute.storage_sources,
        compute.publishers,
        compute.max_job_requirements,
        compute.unavailable,
        compute.policy,
        compute.max_capacity,
        compute.max_executions,
    )
