"""Nodes change in one way: whatever overlaps, what people decided stays, and who has gone is not there."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bacalhau.lib.errors import BacalhauError
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import APPROVED, CONNECTED, PENDING, REJECTED, ComputeNodeInfo, NodeInfo, NodeState
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.core import Checks, Orchestrator
from bacalhau.orchestrator.nodes.handshake import on_gone, on_request
from bacalhau.orchestrator.nodes.membership import NodeChange, change_node, note_drained
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.ports.bus import Delivery
from tests.api.room import LogBus

NODES = st.sampled_from(["n-1", "n-2"])


class LateStore:
    """Nodes in memory, each write done only when it is let through."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.writes: list[asyncio.Future[None]] = []

    async def put_node(self, node: NodeState, secret: str) -> None:
        await self._late()
        self.nodes[node.info.node_id] = node

    async def delete_node(self, node_id: str) -> None:
        await self._late()
        self.nodes.pop(node_id, None)

    async def _late(self) -> None:
        self.writes.append(asyncio.get_running_loop().create_future())
        await self.writes[-1]


def make_orchestrator(store: Any, *, manual: bool = False) -> Orchestrator:
    async def as_published(spec: Any) -> Any:
        return spec

    return Orchestrator(
        node_id="n-o",
        store=store,
        bus=LogBus(),
        content=None,  # type: ignore[arg-type]
        checks=Checks({}, {}, {}),
        fill_defaults=lambda job: job,
        presign=as_published,
        cluster=Cluster(1_000_000_000),
        gate=Gate(store, "", manual=manual),
        logs=None,  # type: ignore[arg-type]
    )


def info(node_id: str, version: int = 0, cpu: float = 2.0) -> NodeInfo:
    size = Resources(cpu=cpu, memory=10**9, disk=10**10)
    offer = ComputeNodeInfo(execution_engines=("docker",), max_capacity=size, max_job_requirements=size)
    return NodeInfo(node_id=node_id, labels={"own": str(version)}, compute_node_info=offer)


@dataclass
class Known:
    """What must be true of a node that has registered. `labels` were given by people."""

    membership: str = PENDING
    cordoned: bool = False
    draining: bool = False
    labels: dict[str, str | None] = field(default_factory=dict)
    own: str = ""


class Begun(NamedTuple):
    kind: str
    node_id: str
    task: "asyncio.Task[Any]"
    value: str = ""


class NodeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = LateStore()
        self.orch = make_orchestrator(self.store, manual=True)
        self.known: dict[str, Known] = {}
        self.connected: set[str] = set()
        self.begun: list[Begun] = []
        self.overtaken: set[asyncio.Task[Any]] = set()
        self.number = 0

    def teardown(self) -> None:
        for begun in self.begun:
            begun.task.cancel()
        self._turn_loop()
        self.loop.close()

    @rule(node_id=NODES)
    def shake_hands(self, node_id: str) -> None:
        self.number += 1
        request = m.HandshakeRequest(node_info=info(node_id, self.number), running=())
        self._begin("handshake", node_id, self._say(node_id, request), str(self.number))

    @rule(node_id=NODES)
    def describe(self, node_id: str) -> None:
        self.number += 1
        told = m.UpdateNodeInfoRequest(node_info=info(node_id, self.number))
        self._begin("info", node_id, self._say(node_id, told), str(self.number))

    @rule(node_id=NODES)
    def beat(self, node_id: str) -> None:
        self._begin("heartbeat", node_id, self._say(node_id, m.HeartbeatRequest(node_id=node_id)))

    @rule(node_id=NODES)
    def go(self, node_id: str) -> None:
        on_gone(self.orch, node_id)
        self.connected.discard(node_id)
        self.overtaken |= {b.task for b in self.begun if b.node_id == node_id}

    @rule(node_id=NODES, action=st.sampled_from(["approve", "reject", "delete", "cordon", "uncordon", "drain"]))
    def decide(self, node_id: str, action: str) -> None:
        self._begin(action, node_id, change_node(self.orch, node_id, NodeChange(action)))

    @rule(node_id=NODES, name=st.sampled_from(["a", "own"]))
    def label(self, node_id: str, name: str) -> None:
        self.number += 1
        change = NodeChange("labels", labels={name: str(self.number)})
        self._begin("labels", node_id, change_node(self.orch, node_id, change), f"{name}={self.number}")

    @rule()
    def note_drained_ones(self) -> None:
        self._begin("drained", "", note_drained(self.orch))

    @precondition(lambda self: self.store.writes)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.store.writes) - 1))
        self.store.writes.pop(at).set_result(None)
        self._run()

    @rule()
    def everything_is_written(self) -> None:
        while self.store.writes:
            self.store.writes.pop().set_result(None)
            self._run()
        assert not self.begun
        there = {node.info.node_id: node for node in self.orch.cluster.nodes()}
        assert there.keys() == self.store.nodes.keys() == self.known.keys()
        assert {n for n, node in there.items() if node.connection_state.status == CONNECTED} == self.connected
        for node_id, node in there.items():
            stored, known = self.store.nodes[node_id], self.known[node_id]
            assert _kept(node) == _kept(stored)
            assert (node.membership, node.cordoned, bool(node.drain)) == (
                known.membership,
                known.cordoned,
                known.draining,
            )
            assert node.label_changes == known.labels and node.info.labels == {"own": known.own} | known.labels
            lane = self.orch.outbox.lane(node_id)
            assert lane.is_open == (node_id in self.connected)

    @invariant()
    def who_has_gone_is_not_there(self) -> None:
        for node in self.orch.cluster.nodes():
            assert node.connection_state.status != CONNECTED or node.info.node_id in self.connected
            candidate = self.orch.cluster.candidates.by_id[node.info.node_id]
            assert candidate.node == node

    def _say(self, node_id: str, message: Any) -> Coroutine[Any, Any, Any]:
        return on_request(self.orch, Delivery(node_id, m.MESSAGE_NAMES[type(message)], message))

    def _begin(self, kind: str, node_id: str, work: Coroutine[Any, Any, Any], value: str = "") -> None:
        self.begun.append(Begun(kind, node_id, self.loop.create_task(work), value))
        self._run()

    def _turn_loop(self) -> None:
        for _ in range(40):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def _run(self) -> None:
        self._turn_loop()
        ended = [b for b in self.begun if b.task.done()]
        self.begun = [b for b in self.begun if not b.task.done()]
        for begun in ended:
            self._note(begun)

    def _note(self, begun: Begun) -> None:
        error = begun.task.exception()
        assert error is None or isinstance(error, BacalhauError), error
        overtaken = begun.task in self.overtaken
        if begun.kind == "handshake":
            self._note_handshake(begun, error, overtaken)
        elif error is None and begun.kind not in ("heartbeat", "drained"):
            self._note_change(begun)

    def _note_handshake(self, begun: Begun, error: BaseException | None, overtaken: bool) -> None:
        if error is None and not begun.task.result().accepted:
            return
        known = self.known.setdefault(begun.node_id, Known())
        known.own = begun.value
        if error is None:
            assert not overtaken
            self.connected.add(begun.node_id)
        else:
            assert overtaken

    def _note_change(self, begun: Begun) -> None:
        known = self.known[begun.node_id]
        if begun.kind == "delete":
            del self.known[begun.node_id]
        elif begun.kind == "info":
            known.own = begun.value
        elif begun.kind == "labels":
            name, _, value = begun.value.partition("=")
            known.labels[name] = value
        elif begun.kind in ("approve", "reject"):
            known.membership = APPROVED if begun.kind == "approve" else REJECTED
        else:
            known.cordoned = begun.kind != "uncordon"
            known.draining = begun.kind == "drain" or (begun.kind == "cordon" and known.draining)
        if begun.kind in ("delete", "reject"):
            self.connected.discard(begun.node_id)


def _kept(node: NodeState) -> tuple[Any, ...]:
    return (node.membership, node.cordoned, node.drain, node.label_changes, node.info.labels, node.message, node.native)


NodeMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestNodeMachine = NodeMachine.TestCase
