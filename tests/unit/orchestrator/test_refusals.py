"""A node that refuses is passed over, without a wait and without an attempt lost; when nobody is left, its reason is
the job's.
"""

import msgspec

from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType as S
from bacalhau.models.node.admission import NodePolicy
from bacalhau.orchestrator.scheduling.retry import MAX_RETRIES, REFUSAL_HOLDS_NS
from bacalhau.orchestrator.scheduling.schedule import plan_job
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job


def plan(job, *executions, candidates=(), now=NOW):
    return plan_job(JobView(job, executions), make_context(*(candidates or (make_candidate(),)), now=now))


def refused(n=1, **how):
    return make_execution(
        n, state=C.ASK_FOR_BID_REJECTED, message="the probe says no", details={"Retryable": "true"}, **how
    )


def test_another_node_is_asked_at_once():
    made = plan(
        make_job(state=S.RUNNING), refused(), candidates=(make_candidate("n-1", cpu=8.0), make_candidate("n-2"))
    )
    assert [e.node_id for e in made.asks] == ["n-2"]


def test_refusals_are_no_attempts():
    candidates = [make_candidate(f"n-{n}") for n in range(1, MAX_RETRIES + 4)]
    said_no = [refused(n, node=f"n-{n}") for n in range(1, MAX_RETRIES + 3)]
    assert [e.node_id for e in plan(make_job(), *said_no, candidates=candidates).asks] == [candidates[-1].node_id]


def test_when_nobody_is_left_the_job_fails_with_the_reason():
    made = plan(make_job(), refused())
    assert made.job.state.state_type == S.FAILED
    assert made.job.state.message == "the probe says no (n-1): no node can run docker"


def test_a_job_that_may_wait_waits_and_asks_again():
    job = make_job(queue=600)
    waits = plan(job, refused(), now=NOW + SECOND)
    assert waits.job.state.state_type == S.QUEUED
    assert waits.job.state.message == "waiting for a matching node: n-1 the probe says no"
    assert waits.next_evaluation == NOW + REFUSAL_HOLDS_NS
    assert [e.node_id for e in plan(job, refused(), now=waits.next_evaluation).asks] == ["n-1"]


def needs(job, **fields):
    return msgspec.structs.replace(job, tasks=(msgspec.structs.replace(job.task, **fields),))


def hints(plan):
    return {(entry.event.details or {}).get("Hint") for entry in plan.history}


def with_offer(candidate, **fields):
    compute = msgspec.structs.replace(candidate.node.info.compute, **fields)
    return candidate._replace(
        node=msgspec.structs.replace(
            candidate.node, info=msgspec.structs.replace(candidate.node.info, compute_node_info=compute)
        )
    )


def test_a_source_and_a_publisher_of_one_name_have_reasons_of_their_own():
    candidate = with_offer(
        make_candidate(),
        publishers=("ipfs",),
        unavailable={"local source": "no local paths are allowed", "local publisher": "port 6001 is in use"},
    )
    local = SpecConfig(type="local")
    job = needs(make_job(), publisher=local, input_sources=(InputSource(source=local, target="/in"),))
    made = plan(job, candidates=(candidate,))
    assert made.job.state.message == "no local paths are allowed; port 6001 is in use (n-1): no node can run docker"
    assert hints(made) == {"see `bacalhau node list`"}
    assert hints(
        plan(
            job,
            candidates=(
                make_candidate("n-0"),
                with_offer(candidate, cures={"s3 source": "other", "local source": "allow some"}),
            ),
        )
    ) == {"allow some"}


def test_nodes_that_say_the_same_are_told_together():
    candidates = [
        make_candidate(f"n-{n}", engines=(), unavailable={"docker engine": "no Docker" if n < 3 else "Docker is full"})
        for n in range(1, 8)
    ]
    assert (
        plan(make_job(), candidates=candidates).job.state.message
        == "no Docker (n-1, n-2); Docker is full (n-3, n-4, n-5) (and 2 more nodes): no node can run docker"
    )


def test_what_a_node_refuses_always_is_not_asked_of_it():
    candidate = with_offer(make_candidate(), policy=NodePolicy(reject_stateless_jobs=True))
    made = plan(make_job(), candidates=(candidate, make_candidate("n-2", cpu=0.5)))
    assert [e.node_id for e in made.asks] == ["n-2"]
    assert (
        plan(make_job(), candidates=(candidate,)).job.state.message
        == "does not accept jobs without inputs (n-1): no node can run docker"
    )


def test_the_publisher_that_publishes_nothing_needs_nobody():
    assert plan(needs(make_job(), publisher=SpecConfig(type="noop"))).asks
