"""A namespace never has more reserved than its quota, and what waits for it starts as soon as it may."""

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from bacalhau.app.quotas import read_quotas
from bacalhau.lib.errors import BadRequest
from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType as S
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.scheduling.place import needed_resources
from bacalhau.orchestrator.scheduling.quotas import Allowance, Quota, Quotas
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.state.cluster import Cluster
from tests.unit.orchestrator.house import open_house, wanted
from tests.unit.orchestrator.make import NOW, make_candidate, make_context, make_execution, make_job

QUOTAS = {"a": Quota(cpu=3.0), "b": Quota(executions=2), "*": Quota(memory=250_000_000)}
NAMESPACES = ("a", "b", "c")


def holds(quota, used, executions):
    limits = ((quota.cpu, used.cpu), (quota.memory, used.memory), (quota.gpu, used.gpu), (quota.executions, executions))
    return all(limit is None or value <= limit + 1e-9 for limit, value in limits)


class Namespaces(RuleBasedStateMachine):
    """Jobs of three namespaces on a node with room for all of them; each is evaluated when it is new or woken."""

    def __init__(self):
        super().__init__()
        self.cluster = Cluster(1, quotas=Quotas(QUOTAS))
        self.cluster.put(make_candidate(cpu=1000.0).node, NOW)
        self.around = make_context()._replace(candidates=self.cluster.candidates)
        self.views, self.running = {}, {}

    def evaluate(self, *job_ids):
        ready = list(job_ids)
        while ready:
            view = self.views[ready.pop(0)]
            allowance = self.cluster.quotas.allowance(view.job.namespace)
            plan = plan_job(view, self.around._replace(allowance=allowance))
            assert not plan.wants_room
            self.cluster.quotas.note(view.job, needed_resources(view.job), plan)
            for execution in plan.asks:
                self.cluster.hold(execution)
                self.running[execution.id] = execution
            view.job = plan.job or view.job
            view.note(plan.asks)
            ready += self.cluster.quotas.wake(view.job.namespace)

    @rule(
        namespace=st.sampled_from(NAMESPACES),
        cpu=st.sampled_from(("0", "1", "2")),
        count=st.integers(1, 4),
        priority=st.integers(0, 1),
        kind=st.sampled_from(("batch", "service", "ops")),
    )
    def submit(self, namespace, cpu, count, priority, kind):
        name = f"j-{len(self.views)}"
        job = make_job(cpu=cpu, count=count, priority=priority, kind=kind, state=S.QUEUED)
        self.views[name] = JobView(replace(job, id=name, namespace=namespace))
        self.evaluate(name)

    @precondition(lambda self: self.running)
    @rule(at=st.integers(0, 50), state=st.sampled_from((C.COMPLETED, C.CANCELLED)))
    def end(self, at, state):
        execution = self.running.pop(sorted(self.running)[at % len(self.running)])
        view = self.views[execution.job_id]
        view.note([execution.moved(state, NOW)])
        self.cluster.release(execution.id)
        self.evaluate(view.job.id, *self.cluster.quotas.wake(view.job.namespace))

    @invariant()
    def nobody_has_more_than_its_quota_and_nothing_waits_that_may_start(self):
        used = Counter(e.namespace for e in self.running.values())
        for namespace in NAMESPACES:
            allowance = self.cluster.quotas.allowance(namespace)
            assert allowance.executions == used[namespace]
            assert holds(allowance.quota, allowance.used, allowance.executions)
        for view in self.views.values():
            plan = plan_job(view, self.around._replace(allowance=self.cluster.quotas.allowance(view.job.namespace)))
            assert not plan.asks, plan.waiting


TestNamespaces = Namespaces.TestCase


def plan_with(job, quota, used=None, executions=0):
    allowance = Allowance("team-a", quota, used or needed_resources(make_job(cpu="0")), executions)
    return plan_job(JobView(job), make_context(make_candidate(cpu=64.0))._replace(allowance=allowance))


def test_the_reason_names_the_namespace_and_what_it_uses():
    used = needed_resources(make_job(cpu="8"))
    plan = plan_with(make_job(cpu="1"), Quota(cpu=8.0, executions=100), used, 3)
    assert plan.job.state == JobState(
        state_type=S.QUEUED, message="waiting for quota: namespace team-a uses 8 of 8 CPU"
    )
    assert plan.wants_quota and not plan.wants_room
    plan = plan_with(make_job(cpu="0", count=5), Quota(executions=100), used, 98)
    assert len(plan.asks) == 2 and plan.waiting == "waiting for quota: namespace team-a uses 100 of 100 executions"


def test_what_never_fits_the_quota_fails_with_the_cure():
    plan = plan_with(make_job(cpu="16"), Quota(cpu=8.0))
    assert plan.job.state.message == "the task exceeds the quota of namespace team-a, 8 CPU"
    hint = "ask for less, or raise Orchestrator.Scheduler.Quotas for namespace team-a"
    assert plan.history[0].event.details["Hint"] == hint


def test_quotas_are_read_in_any_case():
    read = read_quotas({"team-a": {"CPU": 8, "memory": "16Gb", "GPU": "2", "Executions": 100}, "*": {}})
    assert read == {"team-a": Quota(8.0, 16_000_000_000, 2, 100), "*": Quota()}


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"CPUs": 1}, "Orchestrator.Scheduler.Quotas.team-a.CPUs is not known"),
        ({"CPU": "many"}, "Orchestrator.Scheduler.Quotas.team-a.CPU: 'many' is not an amount"),
        ({"Executions": -1}, "Orchestrator.Scheduler.Quotas.team-a.Executions: -1 is not an amount"),
        ({"GPU": True}, "Orchestrator.Scheduler.Quotas.team-a.GPU: True is not an amount"),
    ],
)
def test_a_wrong_quota_is_named(limits, text):
    with pytest.raises(BadRequest) as e:
        read_quotas({"team-a": limits})
    assert e.value.message == text and e.value.hint


async def test_quota_that_was_reserved_and_is_not_used_after_all_wakes_who_waits_for_it(tmp_path):
    async with open_house(tmp_path) as house:
        house.orch.cluster.quotas = Quotas({"default": Quota(executions=1)})
        await house.join("n-1")
        planned = replace(make_execution(), namespace="default")
        house.orch.cluster.hold(planned, wanted("first"))
        await submit_job(house.orch, wanted("second"), force=False, warnings=())
        await house.settle()
        assert await house.states() == {"second": "Queued"}
        house.orch.release([planned])
        await house.settle()
        assert await house.states() == {"second": "Running"}
