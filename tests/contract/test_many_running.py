"""A node with more executions than one message can name: what it tells at its handshake, over a real connection."""

import random

import pytest
from msgspec.structs import replace

from bacalhau.bus.node import node_bus
from bacalhau.compute.core import ComputeNode, Plugins, Running
from bacalhau.compute.messages import control
from bacalhau.compute.messages.control import shake_hands
from bacalhau.compute.state.capacity import Capacity
from bacalhau.lib.aio import crew
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.models.execution.execution import ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import Timeouts
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import NodeInfo
from bacalhau.models.wire import messages as m
from bacalhau.store.journal import NodeJournal
from tests.contract.test_large_jobs import an_orchestrator
from tests.unit.store.samples import a_job, an_execution

MANY = 60_000  # 25,000 names are too many for one message
LIVE = ComputeStateType.BID_ACCEPTED
TASK = replace(a_job(1).task, timeouts=Timeouts(queue_timeout=3600))
JOB = a_job(1, count=MANY, tasks=(TASK,))  # it waits, because no node has its engine


def name(number):
    return f"e-{number:08x}-0000-4000-8000-000000000000"


class Line:
    """The way to the orchestrator: notes the requests that go over it, and fails the one of number `cut`."""

    def __init__(self, bus, cut=0, failure=None):
        self.bus, self.cut, self.failure, self.told = bus, cut, failure, []

    async def request(self, message, **how):
        self.told.append(message)
        if len(self.told) == self.cut:
            raise self.failure
        return await self.bus.request(message, **how)


class Noted(Running):
    """An execution in hand; it notes that it was stopped."""

    def __init__(self, execution_id, stopped):
        super().__init__(None)
        self.execution_id, self.stopped = execution_id, stopped

    def cut_short(self):
        self.stopped.append(self.execution_id)


class Station:
    """A node that has executions in hand, and its orchestrator."""

    def __init__(self, node, orch, journal):
        self.node, self.orch, self.journal, self.stopped = node, orch, journal, []

    async def run(self, numbers):
        self.node.running.clear()
        for at, number in enumerate(numbers):
            self.node.running[name(number)] = Noted(name(number), self.stopped)
            if at % 10_000 == 0:
                await self.orch.store.list_nodes()  # connections live on meanwhile

    async def hold(self, numbers, kept=()):
        """Let the orchestrator take these for live here; of `kept` the store knows, too."""
        await self.orch.commit(Change(new_executions=tuple(self.live(number) for number in kept)))
        for at, number in enumerate(numbers):
            self.orch.cluster.hold(self.live(number), JOB)
            if at % 1000 == 0:
                await self.orch.store.list_nodes()  # connections live on meanwhile

    def live(self, number):
        execution = an_execution(JOB, number)
        return replace(execution, compute_state=replace(execution.compute_state, state_type=LIVE))

    async def forgotten(self):
        views = await self.orch.store.load_views([JOB.id])
        return {e.id for e in views[JOB.id].executions if e.state == ComputeStateType.FAILED}


@pytest.fixture
async def station(tmp_path):
    async with (
        an_orchestrator(tmp_path) as (orch, server),
        node_bus(server.url, "n-1", "secret") as bus,
        NodeJournal(tmp_path / "journal.db") as journal,
        crew() as people,
    ):
        node = ComputeNode("n-1", tmp_path, journal, bus, Plugins({}, {}, {}), Capacity(Resources()), people)
        node.told = NodeInfo(node_id="n-1")
        await orch.commit(Change(new_jobs=(JOB,)))
        await bus.connected(10)
        yield Station(node, orch, journal)


async def test_what_no_message_holds_is_told_in_pieces(station):
    lost, strange = (0, 27_777, MANY - 1), (MANY, MANY + 1, 5 * MANY)
    await station.hold(set(range(MANY)) - set(lost), kept=lost)
    await station.run({*range(MANY), *strange} - set(lost))
    station.node.bus = line = Line(station.node.bus)
    await shake_hands(station.node)
    assert sorted(station.stopped) == [name(number) for number in strange]
    assert await station.forgotten() == {name(number) for number in lost}
    assert len(line.told) == MANY / control.PIECE
    assert station.orch.cluster.get("n-1").native
    assert len(station.orch.cluster.held_on("n-1")) == MANY - len(lost)


@pytest.mark.parametrize("seed", range(8))
async def test_a_connection_lost_in_between_changes_nothing_of_the_outcome(station, seed, monkeypatch):
    chance = random.Random(seed)
    monkeypatch.setattr(control, "PIECE", chance.randint(1, 7))
    held = set(chance.sample(range(40), chance.randint(0, 30)))
    here = set(chance.sample(range(40), chance.randint(0, 30)))
    await station.hold(held & here, kept=sorted(held - here))
    await station.run(here)
    pieces = -(-len(here) // control.PIECE)
    bus = station.node.bus
    for cut in range(1, pieces + 1):
        station.node.bus = Line(bus, cut, Unavailable("the connection was lost"))
        with pytest.raises(Unavailable, match="was lost"):
            await shake_hands(station.node)
    station.node.bus = bus
    await shake_hands(station.node)
    assert set(station.stopped) == {name(number) for number in here - held}
    assert await station.forgotten() == {name(number) for number in held - here}


async def test_an_orchestrator_that_does_not_know_pieces_is_told_nothing(station, monkeypatch):
    monkeypatch.setattr(control, "PIECE", 5)
    await station.hold((), kept=range(3))
    await station.run(range(10, 30))
    station.node.bus = line = Line(station.node.bus, 1, BadRequest("transport.RunningRequest is not known"))
    await shake_hands(station.node)
    assert [type(message) for message in line.told] == [m.RunningRequest, m.HandshakeRequest]
    assert line.told[-1].running is None
    assert (station.stopped, await station.forgotten()) == ([], set())
