"""The nodes as they are now, and what is reserved on each: in memory, rebuilt from the store at start.

Reserving here at the moment of placement is what keeps a burst of jobs from overbooking a node.
"""

from asyncio import Lock
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import reduce
from heapq import nlargest

import msgspec

from bacalhau.lib.numbered import Numbers
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import CONNECTED, NodeState
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.quotas import Quotas
from bacalhau.orchestrator.scheduling.shares import Shares
from bacalhau.orchestrator.scheduling.view import Candidate, Slot, slot_of

NO_PORTS: frozenset[int] = frozenset()  # one for all nodes


class Held(msgspec.Struct, frozen=True, gc=False):
    """The room that one live execution has reserved on a node; `ports` are those that its job names, `slot` is its
    place in the job. There may be 100,000, so the garbage collection does not know of them.
    """

    node_id: str
    job_id: str
    need: Resources
    ports: frozenset[int]
    namespace: str
    slot: Slot


@dataclass
class Turns:
    """The order in which one node is changed, one change after the other; `departures` counts the connections of it
    that ended meanwhile.
    """

    lock: Lock = field(default_factory=Lock)
    users: int = 0
    departures: int = 0


class Cluster:
    """`grace_ns`: how long a node may be away before its work is placed elsewhere.

    `foreign_grace_ns`: the same for nodes of other makes, which take their time to come back; 0 is the same.
    `candidates` is what the scheduler sees; `pack`: how it fills them. `shares`: what each namespace has of it;
    `quotas`: what it may have.
    """

    def __init__(
        self,
        grace_ns: int,
        foreign_grace_ns: int = 0,
        *,
        pack: bool = False,
        shares: Shares | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._grace_ns = grace_ns
        self._foreign_grace_ns = foreign_grace_ns or grace_ns
        self.candidates = Candidates(pack=pack)
        self.shares = shares or Shares()
        self.quotas = quotas or Quotas()
        self._nodes: dict[str, NodeState] = {}
        self._turns: dict[str, Turns] = {}
        self._numbers: dict[str, Numbers] = {}
        self._heard: dict[str, int] = {}
        self._cached: dict[str, int] = {}
        self._away_since: dict[str, int] = {}
        self._returned: dict[str, dict[str, int]] = {}
        self._held: dict[str, Held] = {}
        self._held_on: dict[str, dict[str, str]] = {}
        self._reserved: dict[str, Resources] = {}

    def put(self, node: NodeState, now: int) -> None:
        node_id = node.info.node_id
        self._note_engines(node, now)
        self._nodes[node_id] = node
        if node.connection_state.status == CONNECTED:
            self._away_since.pop(node_id, None)
        else:
            self._away_since.setdefault(node_id, now)
        if node.info.node_type == "Compute":
            self.shares.put_node(node_id, node.info.compute.max_capacity)
            self.candidates.put(
                Candidate(
                    node,
                    self._free(node_id, node),
                    self._lost_at(node_id),
                    self._ports(node_id),
                    len(self._held_on.get(node_id, ())),
                    self._returned.get(node_id, {}),
                )
            )

    def _note_engines(self, node: NodeState, now: int) -> None:
        """Note when a known node has an engine that it lacked: what failed for want of it may run there again."""
        known = self._nodes.get(node.info.node_id)
        before = node if known is None else known
        gained = set(node.info.compute.execution_engines or ()) - set(before.info.compute.execution_engines or ())
        if gained:
            self._returned[node.info.node_id] = self._returned.get(node.info.node_id, {}) | dict.fromkeys(gained, now)

    def forget(self, node_id: str) -> None:
        """The node was deleted; what it holds is given back when its executions end."""
        for known in (self._nodes, self._away_since, self._returned, self._numbers, self._heard, self._cached):
            known.pop(node_id, None)
        self.shares.drop_node(node_id)
        self.candidates.drop(node_id)

    def get(self, node_id: str) -> NodeState | None:
        return self._nodes.get(node_id)

    def nodes(self) -> list[NodeState]:
        return list(self._nodes.values())

    @asynccontextmanager
    async def turn(self, node_id: str) -> AsyncIterator[Callable[[], bool]]:
        """Let the block alone read, store and put back the node.

        Yields a function: has a connection of the node ended since the turn was asked for?
        """
        turns = self._turns.setdefault(node_id, Turns())
        turns.users += 1
        before = turns.departures
        try:
            async with turns.lock:
                yield lambda: turns.departures != before
        finally:
            turns.users -= 1
            if not turns.users:
                del self._turns[node_id]

    def depart(self, node_id: str) -> None:
        """Tell all turns of the node that a connection of it ended. The node need not be known."""
        if turns := self._turns.get(node_id):
            turns.departures += 1

    def heard(self, node_id: str, now: int) -> None:
        """The node gave a sign of life."""
        self._heard[node_id] = now

    def note_cache(self, node_id: str, size: int) -> None:
        """The node said how many bytes of inputs are in its cache."""
        if size > 0:
            self._cached[node_id] = size
        else:
            self._cached.pop(node_id, None)

    def largest_caches(self, node_ids: Iterable[str], most: int) -> list[str]:
        """List those of the nodes that have a cache of inputs, at most so many, the largest first."""
        known = self._cached
        return nlargest(most, (node_id for node_id in node_ids if node_id in known), key=known.__getitem__)

    def silent(self, since: int) -> list[str]:
        """Nodes that count as connected and were not heard of since then."""
        return [n for n, at in self._heard.items() if at < since and n not in self._away_since]

    def excuse(self, missing: int) -> None:
        """So many ns passed unseen, or less than none: nobody's silence or absence in them counts."""
        for times in (self._heard, self._away_since):
            for node_id in times:
                times[node_id] += missing
        for node_id in list(self._away_since):
            self.put(self._nodes[node_id], 0)  # tells the seats

    def numbers(self, node_id: str) -> Numbers:
        """Find the numbers of a node's messages, with what an earlier process noted."""
        found = self._numbers.get(node_id)
        if found is None:
            found = self._numbers[node_id] = Numbers()
            if known := self._nodes.get(node_id):
                found.latest = known.connection_state.last_compute_seq_num
        return found

    def number(self, node_id: str) -> int:
        """Tell up to which of its own numbers a node's messages are durable; 0 when there are none."""
        return self.numbers(node_id).latest

    def shown(self, node: NodeState) -> NodeState:
        """Return the node as people see it: the free room by our own books, nothing at all on a node that is away."""
        node_id, compute = node.info.node_id, node.info.compute_node_info
        state = msgspec.structs.replace(node.connection_state, last_compute_seq_num=self.number(node_id))
        if compute is None:
            return msgspec.structs.replace(node, connection_state=state)
        free = self._free(node_id, node) if state.status == CONNECTED else Resources()
        offer = msgspec.structs.replace(
            compute, available_capacity=free, running_executions=len(self._held_on.get(node_id, ()))
        )
        return msgspec.structs.replace(
            node, info=msgspec.structs.replace(node.info, compute_node_info=offer), connection_state=state
        )

    def hold(self, execution: Execution, job: Job | None = None) -> None:
        """Reserve for a live execution; once per execution. `job` where the execution does not carry it."""
        if execution.id not in self._held:
            need, node_id, whose = execution.reserved, execution.node_id, execution.job or job
            held = self._held[execution.id] = Held(
                node_id,
                execution.job_id,
                need,
                whose.task.static_ports if whose else frozenset(),
                execution.namespace,
                slot_of(execution, whose.type if whose else ""),
            )
            self._held_on.setdefault(node_id, {})[execution.id] = execution.job_id
            self._reserved[node_id] = self._reserved.get(node_id, Resources()).plus(need)
            self.shares.take(held.namespace, held.job_id, need)
            self.quotas.take(held.namespace, need)
            if node_id in self.candidates.by_id:
                self.candidates.take(node_id, need, held.ports)

    def release(self, execution_id: str) -> bool:
        """Give back what an execution held; False when it held nothing."""
        held = self._held.pop(execution_id, None)
        if held is None:
            return False
        left = self._held_on[held.node_id]
        del left[execution_id]
        self._reserved[held.node_id] = self._reserved[held.node_id].minus(held.need)
        if not left:
            del self._held_on[held.node_id], self._reserved[held.node_id]
        self.shares.give_back(held.namespace, held.job_id, held.need)
        self.quotas.give_back(held.namespace, held.need)
        self._tell_room(held)
        return True

    def _tell_room(self, ended: Held) -> None:
        node_id = ended.node_id
        if node_id in self.candidates.by_id:
            self.candidates.set_free(
                node_id,
                self._free(node_id, self._nodes[node_id]),
                self._ports(node_id) if ended.ports else None,
                len(self._held_on.get(node_id, ())),
            )

    def holds(self, node_id: str, execution_id: str, job_id: str) -> bool:
        """Tell whether this is a live execution of the job there."""
        held = self._held.get(execution_id)
        return held is not None and (held.node_id, held.job_id) == (node_id, job_id)

    def find_held(self, execution_id: str) -> Held | None:
        """Find what a live execution holds."""
        return self._held.get(execution_id)

    @property
    def reserved(self) -> Resources:
        """The room of all nodes together that live executions have reserved."""
        return reduce(Resources.plus, self._reserved.values(), Resources())

    def held_on(self, node_id: str) -> list[str]:
        return list(self._held_on.get(node_id, ()))

    def jobs_on(self, node_id: str) -> set[str]:
        return set(self._held_on.get(node_id, {}).values())

    def _free(self, node_id: str, node: NodeState) -> Resources:
        return node.info.compute.max_capacity.minus(self._reserved.get(node_id, Resources()))

    def _ports(self, node_id: str) -> frozenset[int]:
        held = self._held_on.get(node_id, ())
        return frozenset[int]().union(*(self._held[execution_id].ports for execution_id in held)) or NO_PORTS

    def is_lost(self, node_id: str, now: int) -> bool:
        """Away for longer than the grace."""
        lost_at = self._lost_at(node_id)
        return bool(lost_at) and now > lost_at

    def _lost_at(self, node_id: str) -> int:
        away_since = self._away_since.get(node_id)
        grace = self._grace_ns if self._nodes[node_id].native else self._foreign_grace_ns
        return 0 if away_since is None else away_since + grace

    def idle_and_away(self, since: int) -> list[str]:
        """Nodes that have been away since then, and hold nothing."""
        return [node_id for node_id, at in self._away_since.items() if at < since and not self._held_on.get(node_id)]

    def lost(self, now: int) -> set[str]:
        return {node_id for node_id in self._away_since if self.is_lost(node_id, now)}
