"""A walk over quotas, roll-outs, nodes that come and go, and an orchestrator that is killed at any moment.

Once all is quiet nothing is stuck, nothing runs twice, and nobody has more than its quota.
"""

from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from bacalhau.lib.clock import now_ns
from bacalhau.models.wire.messages import HandshakeRequest
from bacalhau.orchestrator.evaluation.evaluate import context_of
from bacalhau.orchestrator.jobs.submit import stop_job, submit_job
from bacalhau.orchestrator.jobs.versions import rerun_job
from bacalhau.orchestrator.messages.dispatcher import drop_messages
from bacalhau.orchestrator.nodes.handshake import on_gone, on_request
from bacalhau.orchestrator.nodes.membership import NodeChange, change_node
from bacalhau.orchestrator.nodes.watch import load_state
from bacalhau.orchestrator.scheduling.quotas import Quota, Quotas
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.view import SECOND, slot_of
from bacalhau.ports.bus import Delivery
from tests.support.clock import MovedClock
from tests.unit.orchestrator.house import House, make_orchestrator, wanted
from tests.unit.orchestrator.test_late_store import INDEX, NODES, LateStore, Walk

QUOTAS = {"default": Quota(cpu=5.0), "other": Quota(executions=3)}
GRACE = 10 * SECOND
ROUND = 5 * SECOND
LONGEST = 13  # rounds in which nothing changes: what a node refused may be tried there again after 60 s
CPU = st.sampled_from(["1", "1", "2", "0.5", "4"])
COUNT = st.sampled_from([1, 2, 3, 7])


class Killed(Walk):
    """The walk of a store that answers late, over several processes of the orchestrator."""

    def __init__(self):
        super().__init__()
        self.clock = MovedClock().__enter__()
        self.watched, self.heard = self.late.store, set()
        self.begin_process()

    def begin_process(self):
        """A new process of the orchestrator takes up what an earlier one left in the store."""
        self.orch = make_orchestrator(self.watched, Path(self.folder.name), grace=GRACE)
        self.orch.cluster.quotas = Quotas(QUOTAS)
        self.house = House(self.orch)
        self.run(load_state(self.orch))
        self.late = self.orch.store = LateStore(self.watched)
        self.evaluator = None

    @initialize()
    def nodes_come_back(self):
        for node_id in NODES:
            self.join(node_id)

    @rule(
        count=COUNT,
        cpu=CPU,
        priority=st.sampled_from([0, 0, 1]),
        namespace=st.sampled_from(["default", "other", "free", "free"]),
        kind=st.sampled_from(["batch", "batch", "service", "service", "ops", "daemon"]),
    )
    def submit(self, count, cpu, priority, namespace, kind):
        self.count += 1
        how = {"cpu": cpu, "priority": priority, "namespace": namespace, "kind": kind}
        self.put(wanted(f"job-{self.count}", count=count, **how))

    @rule(index=INDEX, count=COUNT, cpu=CPU)
    def update(self, index, count, cpu):
        if job := self.one_of(self.jobs(), index):
            how = {"cpu": cpu, "priority": job.priority, "namespace": job.namespace, "kind": job.type}
            self.put(wanted(job.name, count=count, **how))

    def put(self, job):
        self.begin(submit_job(self.orch, job, force=True, warnings=()))

    @rule(index=INDEX)
    def stop(self, index):
        if job := self.one_of(self.jobs(), index):
            self.begin(stop_job(self.orch, job.id, job.namespace, "a test"))

    @rule(index=INDEX)
    def rerun(self, index):
        if job := self.one_of(self.jobs(), index):
            self.begin(rerun_job(self.orch, job.id, job.namespace, 0, "a test"))

    @rule(node_id=st.sampled_from(NODES))
    def leave(self, node_id):
        on_gone(self.orch, node_id)

    @rule(node_id=st.sampled_from(NODES))
    def join(self, node_id):
        self.begin(self.house.join(node_id))

    @rule(node_id=st.sampled_from(NODES))
    def come_back_empty(self, node_id):
        """A node took all that waited for it, and lost its journal."""
        self.begin(self.handed_over_and_lost(node_id))

    async def handed_over_and_lost(self, node_id):
        self.heard |= self.orch.outbox.starts(node_id)
        self.orch.outbox.abandon(node_id)
        settled, self.orch.outbox.settled.items = self.orch.outbox.settled.items, []
        await drop_messages(self.orch, settled)
        if node := self.orch.cluster.get(node_id):
            request = HandshakeRequest(node_info=node.info, running=())
            await on_request(self.orch, Delivery(node_id, "HandshakeRequest", request))

    @rule(node_id=st.sampled_from(NODES), action=st.sampled_from(["cordon", "drain", "drain", "uncordon", "delete"]))
    def decide(self, node_id, action):
        self.begin(change_node(self.orch, node_id, NodeChange(action, deadline=0 if action == "drain" else None)))

    @rule(seconds=st.sampled_from([1, 2, 15]))
    def time_passes(self, seconds):
        self.clock.move(seconds * SECOND)
        self.give_up_lost_nodes()

    def give_up_lost_nodes(self):
        for node_id in self.orch.cluster.lost(now_ns()):
            for job_id in self.orch.cluster.jobs_on(node_id):
                self.orch.queue.add(job_id)

    @rule()
    def kill(self):
        self.run(self.late.die())
        self.begin_process()

    @rule()
    def quiet(self):
        """What is under way ends; then time passes until nothing changes any more."""
        self.run(self.late.answer_all())
        calm = 0
        while calm < LONGEST:
            before = len(self.watched.changes)
            self.clock.move(ROUND)
            self.give_up_lost_nodes()
            self.run(self.house.settle())
            calm = calm + 1 if before == len(self.watched.changes) else 0
        self.run(self.check())
        self.late.is_late = True

    async def check(self):
        live = await self.watched.list_live_executions()
        jobs = {job.id: job for job in await self.watched.list_open_jobs()}
        assert {e.job_id for e in live} <= jobs.keys(), "a job that has ended has a live execution"
        slots = Counter((e.job_id, slot_of(e, jobs[e.job_id].type)) for e in live)
        assert not [slot for slot, count in slots.items() if count > 1], "two live executions in one slot"
        assert {e for node_id in NODES for e in self.orch.cluster.held_on(node_id)} == {e.id for e in live}
        assert not self.orch.placing
        for e in live:
            known = e.id in self.heard or self.orch.outbox.lane(e.node_id).begins(e.id)
            assert known, "a node will not hear of an execution"
        for namespace in QUOTAS:
            self.check_quota(namespace, [e.reserved for e in live if e.namespace == namespace])
        for job in jobs.values():
            await self.check_job(job)

    def check_quota(self, namespace, needs):
        quota, counted = QUOTAS[namespace], self.orch.cluster.quotas.allowance(namespace)
        used = sum(need.cpu for need in needs)
        assert used <= (quota.cpu or 99) and len(needs) <= (quota.executions or 99), f"{namespace} has too much"
        assert (counted.executions, counted.used.cpu) == (len(needs), used), "the quota is counted wrong"

    async def check_job(self, job):
        view = (await self.watched.load_views([job.id]))[job.id]
        assert (await self.orch.views.load(self.watched, [job.id]))[job.id] == view, "memory differs from the store"
        plan = plan_job(view, context_of(self.orch, job))
        # The reason why it waits is that of its last evaluation: whether for room or for quota may have changed since.
        is_still = plan.job is None or plan.job.state.state_type == job.state.state_type
        assert is_still and not (plan.asks or plan.cancels or plan.updates), f"{job.name} is stuck: {plan}"

    def teardown(self):
        try:
            self.quiet()
            self.run(self.finish())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()
            self.clock.__exit__()


TestKilled = Killed.TestCase
TestKilled.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, derandomize=True)
