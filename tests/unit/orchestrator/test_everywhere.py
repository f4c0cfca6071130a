"""Ops and daemons: every node that matches, and what counts as the end."""

import pytest
from msgspec.structs import replace

from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import LabelSelectorRequirement
from bacalhau.models.job.retry import ENDED, FAILURE_KIND, NODE_LOST
from bacalhau.models.job.state import JobStateType as S
from bacalhau.orchestrator.scheduling.retry import SHORT_REFUSAL_NS
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.steps import Context
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

TWO = (make_candidate("n-1"), make_candidate("n-2"))
EU = (LabelSelectorRequirement(key="zone", operator="=", values=("eu",)),)


def plan(job, *executions, candidates=TWO, now=NOW, settled=True):
    return plan_job(JobView(job, executions), make_context(*candidates, now=now, settled=settled))


def job(kind="ops", **how):
    return make_job(kind=kind, count=0, **({"state": S.RUNNING} | how))


def on(node, state, n=0, *, details=None, **how):
    return make_execution(n or int(node[-1]), node=node, state=state, details=details, **how)


@pytest.mark.parametrize("kind", ["ops", "daemon"])
def test_every_matching_node_gets_one(kind):
    made = plan(
        job(kind, state=S.PENDING, constraints=EU),
        candidates=(
            make_candidate("n-1", labels={"zone": "eu"}),
            make_candidate("n-2"),
            make_candidate("n-3", labels={"zone": "eu"}),
        ),
    )
    assert [e.node_id for e in made.asks] == ["n-1", "n-3"]
    assert made.job.state.state_type == S.RUNNING
    assert plan(job(kind), on("n-1", C.BID_ACCEPTED), on("n-2", C.BID_ACCEPTED)).is_empty


@pytest.mark.parametrize("kind", ["ops", "daemon"])
def test_a_node_that_joins_while_it_lives_gets_one_too(kind):
    made = plan(
        job(kind),
        on("n-1", C.BID_ACCEPTED),
        on("n-2", C.BID_ACCEPTED),
        candidates=(*TWO, make_candidate("n-3"), make_candidate("n-4", connected=False)),
    )
    assert [e.node_id for e in made.asks] == ["n-3"]


@pytest.mark.parametrize("kind", ["ops", "daemon"])
def test_a_busy_node_is_waited_for(kind):
    made = plan(
        job(kind), on("n-1", C.BID_ACCEPTED), candidates=(make_candidate("n-1"), make_candidate("n-2", free=0.0))
    )
    assert made.waiting == "waiting for capacity: n-2 busy: needs 0.5 CPU, free 0" and not made.asks


def test_ops_completes_when_every_node_has():
    assert plan(job(), on("n-1", C.COMPLETED), on("n-2", C.BID_ACCEPTED)).is_empty
    assert plan(job(), on("n-1", C.COMPLETED), on("n-2", C.COMPLETED)).job.state.state_type == S.COMPLETED


def test_ops_fails_with_the_words_of_what_failed():
    made = plan(job(), on("n-1", C.COMPLETED), on("n-2", C.FAILED, message="no such image"))
    assert (made.job.state.state_type, made.job.state.message) == (S.FAILED, "1 of 2 executions failed: no such image")


def test_ops_is_judged_by_its_current_version():
    before = on("n-1", C.FAILED, 7), on("n-2", C.COMPLETED, 8)
    now = on("n-1", C.COMPLETED, version=2), on("n-2", C.COMPLETED, version=2)
    assert plan(job(version=2), *before, *now).job.state.state_type == S.COMPLETED
    assert len(plan(job(version=2, state=S.PENDING), *before).asks) == 2


def test_ops_fails_when_everybody_refuses_and_not_when_one_does():
    no = [on(node, C.ASK_FOR_BID_REJECTED, message="the probe says no") for node in ("n-1", "n-2")]
    assert plan(job(), *no).job.state.message == "no node took it: the probe says no"
    assert plan(job(), no[0], on("n-2", C.COMPLETED)).job.state.state_type == S.COMPLETED


def test_ops_tries_again_what_another_attempt_may_help_but_not_what_went_down_with_its_node():
    done = on("n-1", C.COMPLETED)
    again = plan(job(), done, on("n-2", C.FAILED, message="registry away", details={"Retryable": "true"}))
    assert (again.waiting, again.next_evaluation) == ("retrying after: registry away", NOW + SECOND)
    lost = plan(
        job(), done, on("n-2", C.FAILED, message="lost", details={"Retryable": "true", FAILURE_KIND: NODE_LOST})
    )
    assert lost.job.state.state_type == S.FAILED


def test_ops_without_a_matching_node_fails_at_once_or_waits_if_it_may():
    nobody = (make_candidate("n-1", engines=("noop",)),)
    assert (
        plan(job(state=S.PENDING), candidates=nobody).job.state.message
        == "cannot run docker (n-1): no node can run docker"
    )
    assert (
        plan(job(state=S.PENDING), candidates=()).job.state.message
        == "no compute node has joined: no node can run docker"
    )
    waits = plan(job(state=S.PENDING, queue=60), candidates=nobody)
    assert (waits.job.state.state_type, waits.next_evaluation) == (S.QUEUED, NOW + 60 * SECOND)
    assert plan(job(state=S.PENDING), candidates=(), settled=False).next_evaluation == NOW + SECOND


def test_ops_is_not_judged_while_nodes_may_still_come_back():
    candidates = (make_candidate("n-1"), make_candidate("n-2", connected=False))
    assert plan(job(), on("n-1", C.COMPLETED), candidates=candidates, settled=False).job.state.state_type == S.QUEUED
    assert plan(job(), on("n-1", C.COMPLETED), candidates=candidates).job.state.state_type == S.COMPLETED


def test_a_daemon_without_nodes_waits_for_ever_and_never_completes():
    assert (
        plan(job("daemon", state=S.PENDING), candidates=()).job.state.message == "waiting for a matching node to join"
    )
    cordoned = make_candidate("n-1")._replace(node=replace(make_candidate("n-1").node, cordoned=True))
    away = (cordoned, make_candidate("n-2", connected=False), make_candidate("n-3", engines=("noop",)))
    assert (
        plan(job("daemon", state=S.PENDING), candidates=away).job.state.message
        == "waiting for a matching node: n-1 is cordoned; n-2 is not connected"
    )
    assert plan(
        job("daemon", total=5, created=NOW - 60 * SECOND), on("n-1", C.BID_ACCEPTED), on("n-2", C.BID_ACCEPTED)
    ).is_empty


def test_a_daemon_is_started_again_on_the_same_node_after_a_pause():
    died = on(
        "n-2", C.FAILED, message="execution completed unexpectedly", details={"Retryable": "true", FAILURE_KIND: ENDED}
    )
    alive = on("n-1", C.BID_ACCEPTED)
    assert plan(job("daemon"), alive, died).next_evaluation == NOW + SECOND
    assert [e.node_id for e in plan(job("daemon"), alive, died, now=NOW + SECOND).asks] == ["n-2"]
    hopeless = on("n-2", C.FAILED, message="no such image")
    assert [e.node_id for e in plan(job("daemon"), alive, hopeless, now=NOW + SECOND).asks] == ["n-2"]


def test_a_daemon_asks_a_node_that_refused_again_later():
    no = on("n-2", C.ASK_FOR_BID_REJECTED, message="port in use")
    assert plan(job("daemon"), on("n-1", C.BID_ACCEPTED), no).next_evaluation == NOW + SHORT_REFUSAL_NS
    assert len(plan(job("daemon"), on("n-1", C.BID_ACCEPTED), no, now=NOW + SHORT_REFUSAL_NS).asks) == 1


def test_a_daemon_leaves_a_node_whose_labels_match_no_more():
    candidates = (make_candidate("n-1", labels={"zone": "eu"}), make_candidate("n-2", labels={"zone": "us"}))
    made = plan(
        job("daemon", constraints=EU), on("n-1", C.BID_ACCEPTED), on("n-2", C.BID_ACCEPTED), candidates=candidates
    )
    assert [e.node_id for e in made.cancels] == ["n-2"] and not made.asks


def test_a_new_version_of_a_daemon_goes_from_node_to_node():
    old = [on(f"n-{n}", C.BID_ACCEPTED) for n in range(1, 6)]
    candidates = [make_candidate(f"n-{n}") for n in range(1, 6)]
    made = plan(job("daemon", state=S.PENDING, version=2), *old, candidates=candidates)
    assert [e.node_id for e in made.cancels] == [e.node_id for e in made.asks] == ["n-1"]
    assert made.next_evaluation == NOW + SECOND


def test_a_stopped_job_stops_everywhere():
    made = plan(job("daemon", state=S.STOPPED), on("n-1", C.BID_ACCEPTED), on("n-2", C.BID_ACCEPTED))
    assert [e.state for e in made.cancels] == [C.CANCELLED] * 2


def test_looking_twice_asks_once():
    first = plan(job("daemon", state=S.PENDING))
    around = make_context(*TWO)
    again = plan_job(JobView(first.job, first.asks), Context(around.candidates, NOW, around.new_ids))
    assert again.is_empty and replace(first.job) == first.job
