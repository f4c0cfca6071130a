"""Of two attempts in one slot of a job never both may publish, whatever happens in between, and in whatever order."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from bacalhau.compute.remote.permit import VALID_NS
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.job.job import EVERYWHERE
from bacalhau.models.wire.messages import PublishRequest
from bacalhau.orchestrator.evaluation.evaluate import apply_plan, plan_and_hold
from bacalhau.orchestrator.evaluation.evaluator import evaluate_some
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.nodes.handshake import on_gone, on_request
from bacalhau.orchestrator.nodes.membership import NodeChange, change_node
from bacalhau.orchestrator.nodes.watch import load_state
from bacalhau.orchestrator.state.permits import HOLD_NS
from bacalhau.ports.bus import Delivery
from tests.support.clock import MovedClock
from tests.unit.orchestrator.house import House, make_orchestrator, open_house, wanted
from tests.unit.orchestrator.test_late_store import INDEX, NODES, LateStore, Walk

MS = 1_000_000


class Nodes:
    """What nodes know of their executions, and until when each may publish."""

    def __init__(self):
        self.slots = {}  # executions whose end was not told, and their place
        self.valid = {}

    async def hear(self, store):
        for execution in await store.list_live_executions():
            if execution.id not in self.valid:
                _, job = await store.load_execution(execution.id)
                place = execution.node_id if job.type in EVERYWHERE else execution.partition_index
                self.slots[execution.id] = (execution, (job.id, place))
                self.valid[execution.id] = 0

    def tell_end(self, execution):
        self.slots.pop(execution.id, None)
        self.valid[execution.id] = 0

    async def ask(self, orch, execution):
        """A node asks for the right to publish; the answer, or None for none."""
        asked = now_ns()
        request = PublishRequest(execution_id=execution.id, job_id=execution.job_id)
        try:
            answer = await on_request(orch, Delivery(execution.node_id, "PublishRequest", request))
        except BacalhauError:
            return None
        if answer.granted and execution.id in self.slots:
            self.valid[execution.id] = asked + VALID_NS
            self.check(execution.id)
        return answer.granted

    def check(self, granted):
        slot = self.slots[granted][1]
        rivals = [e for e, (_, place) in self.slots.items() if place == slot and e != granted]
        assert not [e for e in rivals if self.valid[e] > now_ns()], f"two attempts may publish in {slot}"


class Publishing(Walk):
    """The walk of a store that answers late, with nodes that publish, come and go, and an orchestrator that dies."""

    def __init__(self):
        super().__init__()
        self.clock = MovedClock().__enter__()
        self.nodes, self.old = Nodes(), []
        self.renew(self.late.store)

    def renew(self, store):
        """A new process of the orchestrator begins over the same store."""
        self.orch = make_orchestrator(store, Path(self.folder.name), grace=0)
        self.house = House(self.orch)
        self.run(load_state(self.orch))
        for node_id in NODES:
            self.run(self.house.join(node_id))
        self.late = self.orch.store = LateStore(store)
        self.evaluator = None

    def known(self, index):
        """Some execution of whose end its node has not told, live or not."""
        self.run(self.nodes.hear(self.late.store))
        found = self.one_of(self.nodes.slots.values(), index)
        return found and found[0]

    @initialize(kind=st.sampled_from(["batch", "service", "ops", "daemon"]))
    def submit_first(self, kind):
        self.submit(2, kind)
        self.settle()

    @rule()
    def publish(self):
        """All nodes ask for all that they have."""
        self.run(self.nodes.hear(self.late.store))
        self.begin(self.ask_all())

    async def ask_all(self):
        await asyncio.gather(*(self.nodes.ask(self.orch, execution) for execution, _ in self.nodes.slots.values()))

    @rule(turns=st.integers(0, 8))
    def evaluate_and_publish(self, turns):
        """Nodes ask while plans are made and written."""
        self.run(self.nodes.hear(self.late.store))
        self.run(self.during(evaluate_some(self.orch), turns))

    async def during(self, work, turns):
        self.callers.append(asyncio.create_task(self.tried(work)))
        for _ in range(turns):
            await self.late.turn()
        self.callers.append(asyncio.create_task(self.tried(self.ask_all())))
        await self.late.calm()

    @rule()
    def settle(self):
        self.run(self.late.answer_all())
        self.run(self.house.settle())
        self.late.is_late = True

    @rule(index=INDEX, message=st.sampled_from(["done", "failed"]))
    def report(self, index, message):
        if execution := self.known(index):
            self.nodes.tell_end(execution)
            self.begin(self.house.tell(execution, message))

    @rule(ms=st.sampled_from([100, 1000, 2000, 2500]))
    def pass_time(self, ms):
        self.clock.move(ms * MS)

    @rule(node_id=st.sampled_from(NODES))
    def lose(self, node_id):
        on_gone(self.orch, node_id)
        self.clock.move(MS)
        for job_id in self.orch.cluster.jobs_on(node_id):
            self.orch.queue.add(job_id)

    @rule(node_id=st.sampled_from(NODES))
    def come_back(self, node_id):
        self.begin(self.house.join(node_id))

    @rule(node_id=st.sampled_from(NODES), action=st.sampled_from(["drain", "uncordon", "reject", "approve", "delete"]))
    def decide(self, node_id, action):
        self.begin(change_node(self.orch, node_id, NodeChange(action, deadline=0 if action == "drain" else None)))

    @rule()
    def crash(self):
        store = self.late.store
        self.run(self.late.die())
        self.renew(store)

    async def check(self):
        live = await self.late.store.list_live_executions()
        slots = [self.nodes.slots[e.id][1] for e in live if e.id in self.nodes.slots]
        assert len(slots) == len(set(slots)), "two live executions in one slot"

    def teardown(self):
        try:
            super().teardown()
        finally:
            self.clock.__exit__()


TestPublishing = Publishing.TestCase
TestPublishing.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@pytest.fixture
def clock():
    with MovedClock() as clock:
        yield clock


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path, grace=0) as house:
        await house.join("n-1")
        await house.join("n-2")
        yield house


async def submit(orch, **how):
    job = wanted("job-1", **how)
    await submit_job(orch, job, force=False, warnings=())
    return (await orch.store.find_job("job-1")).id


KINDS = [("batch", 1), ("service", 1), ("ops", 2), ("daemon", 2)]


@pytest.mark.parametrize(("kind", "live"), KINDS)
async def test_a_rerun_waits_for_the_permits_of_what_it_replaces(house, clock, kind, live):
    job_id, nodes = await submit(house.orch, kind=kind), Nodes()
    await house.settle()
    await nodes.hear(house.orch.store)
    first = await house.live()
    assert len(first) == live
    for execution in first:
        assert await nodes.ask(house.orch, execution)
    await rerun_job(house.orch, job_id, "default", 0, "a test")
    clock.move(1500 * MS)  # a daemon is replaced step by step
    await house.settle()
    clock.move(HOLD_NS - 1600 * MS)
    await house.settle()
    ids = {e.id for e in first}
    waiting = [e for e in await house.live() if e.id not in ids]
    assert not waiting
    for _ in range(5):
        clock.move(1100 * MS)
        await house.settle()
    last = await house.live()
    assert len(last) == live and not {e.id for e in last} & ids


@pytest.mark.parametrize(("kind", "live"), KINDS)
async def test_what_left_its_node_before_a_crash_is_not_replaced_while_a_permit_may_be_out(
    house, clock, tmp_path, kind, live
):
    await submit(house.orch, kind=kind)
    await house.settle()
    before = {e.id for e in await house.live()}
    for node_id in ("n-1", "n-2"):
        await change_node(house.orch, node_id, NodeChange("drain", deadline=0))
    await house.settle()
    assert not await house.live()
    again = House(make_orchestrator(house.orch.store, tmp_path))
    await load_state(again.orch)
    for node_id in ("n-1", "n-2"):
        await again.join(node_id)
        await change_node(again.orch, node_id, NodeChange("uncordon"))
    await again.settle()
    assert not await again.live()
    clock.move(HOLD_NS)
    await again.settle()
    after = {e.id for e in await again.live()}
    assert not after & before
    assert len(after) == (0 if kind == "ops" else live)  # of an ops job no node does its part twice


async def test_nothing_is_granted_while_the_end_is_being_written(house):
    await submit(house.orch)
    await house.settle()
    nodes, [execution] = Nodes(), await house.live()
    await nodes.hear(house.orch.store)
    on_gone(house.orch, execution.node_id)
    house.orch.queue.add(execution.job_id)
    late = house.orch.store = LateStore(house.orch.store)
    evaluation = asyncio.create_task(evaluate_some(house.orch))
    await late.calm()
    late.is_late = False
    await house.join(execution.node_id)
    assert house.orch.cluster.find_held(execution.id)
    assert await nodes.ask(house.orch, execution) is None
    await late.answer_all()
    await evaluation
    assert await nodes.ask(house.orch, execution) is False


async def test_what_was_granted_after_the_plan_was_made_holds_the_plan_back(house):
    job_id, nodes = await submit(house.orch), Nodes()
    await house.settle()
    [execution] = await house.live()
    await nodes.hear(house.orch.store)
    await change_node(house.orch, execution.node_id, NodeChange("drain", deadline=0))
    view = (await house.orch.views.load(house.orch.store, [job_id]))[job_id]
    plan = plan_and_hold(house.orch, view, house.orch.queue.take(job_id))
    assert plan.cancels and plan.asks
    assert await nodes.ask(house.orch, execution)
    assert await apply_plan(house.orch, view.job, plan)
    house.orch.queue.done(job_id)
    assert await house.live() == [execution]
    await house.settle()
    assert not await house.live()
