"""All nodes as places for work: in the order of their free room, and with the answer to "could it ever run this?" kept
by shape of job.

A burst of jobs of one shape on a thousand nodes costs one question per node, not one per node and job.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from bacalhau.models.job.job import Job
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import CONNECTED, NodeState
from bacalhau.orchestrator.scheduling.view import Candidate

SHAPES = 256  # answers are kept for so many shapes of jobs
Ask = Callable[[NodeState], str]


class News(Enum):
    """What a change of a node means for jobs that wait.

    ROOM: it has room that it did not have. OFFER: it may take other jobs than before, or is there again. SHUT: it takes
    nothing for now.
    """

    ROOM = auto()
    OFFER = auto()
    SHUT = auto()


def _nothing_listens(node_id: str, news: News) -> None:
    return None


class Candidates:
    """`pack`: fill nodes one after the other; otherwise work spreads to where most is free.

    `on_news` is called with every change that may concern jobs which wait, except inside a trial.
    """

    def __init__(self, candidates: Iterable[Candidate] = (), *, pack: bool = False) -> None:
        self.by_id: dict[str, Candidate] = {}
        self.pack = pack
        self._order: list[tuple[float, int, str]] = []
        self._answers: dict[Hashable, dict[str, str]] = {}
        self._before: dict[str, Candidate] | None = None
        self.on_news: Callable[[str, News], None] = _nothing_listens
        for candidate in candidates:
            self.put(candidate)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.by_id.values())

    def put(self, candidate: Candidate) -> None:
        old = self.by_id.get(candidate.node_id)
        if old is not None:
            self._remove_place(old)
        self.by_id[candidate.node_id] = candidate
        insort(self._order, _place(candidate))
        if old is None or _offer(old.node) != _offer(candidate.node):
            for answers in self._answers.values():
                answers.pop(candidate.node_id, None)
        news = _find_news(old, candidate)
        if news is not None:
            self.on_news(candidate.node_id, news)

    def drop(self, node_id: str) -> None:
        """The node is not known any more."""
        old = self.by_id.pop(node_id, None)
        if old is not None:
            self._remove_place(old)
            for answers in self._answers.values():
                answers.pop(node_id, None)
            self.on_news(node_id, News.OFFER)

    def _remove_place(self, candidate: Candidate) -> None:
        place = _place(candidate)
        at = bisect_left(self._order, place)
        if self._order[at] == place:
            del self._order[at]

    def set_free(self, node_id: str, free: Resources, ports: frozenset[int] | None = None) -> None:
        """Something ended there. `ports` in use are as before where they are not given."""
        self._change(node_id, free, ports)
        self.on_news(node_id, News.ROOM)

    def _change(self, node_id: str, free: Resources, ports: frozenset[int] | None) -> None:
        candidate = self.by_id[node_id]
        if self._before is not None:
            self._before.setdefault(node_id, candidate)
        self._remove_place(candidate)
        changed = candidate._replace(free=free, ports=candidate.ports if ports is None else ports)
        self.by_id[node_id] = changed
        insort(self._order, _place(changed))

    def take(self, node_id: str, need: Resources, ports: frozenset[int] = frozenset()) -> None:
        """Set room aside there, for good or inside a trial."""
        candidate = self.by_id[node_id]
        self._change(node_id, candidate.free.minus(need), candidate.ports | ports)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What is taken inside is given back at the end."""
        self._before = {}
        try:
            yield
        finally:
            before, self._before = self._before, None
            for node_id, candidate in before.items():
                self._change(node_id, candidate.free, candidate.ports)

    def with_room(self, need: Resources) -> Iterator[Candidate]:
        """Nodes with enough free CPU, the best place first. Nothing may be taken while this goes on."""
        first = bisect_left(self._order, (need.cpu - 1e-9, 0, ""))
        for index in range(first, len(self._order)) if self.pack else range(len(self._order) - 1, first - 1, -1):
            yield self.by_id[self._order[index][2]]

    def may_fit(self, need: Resources) -> bool:
        """Whether it is worth looking: the node with most free CPU has enough of it."""
        return bool(self._order) and self._order[-1][0] + 1e-9 >= need.cpu

    def answers(self, shape: Hashable, ask: Ask) -> Callable[[Candidate], str]:
        """`ask` put to each node once per shape."""
        known = self._answers.get(shape)
        if known is None:
            if len(self._answers) >= SHAPES:
                del self._answers[next(iter(self._answers))]
            known = self._answers[shape] = {}
        kept = known

        def answer(candidate: Candidate) -> str:
            found = kept.get(candidate.node_id)
            if found is None:
                found = kept[candidate.node_id] = ask(candidate.node)
            return found

        return answer


def shape_of(job: Job, need: Resources) -> Hashable:
    """Jobs of one shape are the same to every node."""
    task = job.task
    return (
        task.engine.type,
        tuple(s.source.type for s in task.input_sources or ()),
        task.publisher.type if task.publisher else "",
        (task.network or NetworkConfig()).type,
        tuple((c.key, c.operator, c.values) for c in job.constraints or ()),
        (need.cpu, need.memory, need.disk, need.gpu),
    )


def _place(candidate: Candidate) -> tuple[float, int, str]:
    return (candidate.free.cpu, candidate.free.memory, candidate.node_id)


def _find_news(old: Candidate | None, new: Candidate) -> News | None:
    is_open, was_open = _is_open(new.node), old is not None and _is_open(old.node)
    if old is None or _offer(old.node) != _offer(new.node) or (is_open and not was_open):
        return News.OFFER
    if was_open and not is_open:
        return News.SHUT
    return None if old.free.holds(new.free) else News.ROOM


def _is_open(node: NodeState) -> bool:
    return node.connection_state.status == CONNECTED and not node.cordoned


def _offer(node: NodeState) -> tuple[object, ...]:
    """Everything about a node on which an answer may depend."""
    compute = node.info.compute
    return (
        node.membership,
        node.info.labels,
        compute.execution_engines,
        compute.storage_sources,
        compute.publishers,
        compute.max_job_requirements,
        compute.unavailable,
        compute.policy,
    )
