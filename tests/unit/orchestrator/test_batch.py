"""What the batch scheduler decides, and the reasons it gives."""

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import LabelSelectorRequirement
from bacalhau.models.job.state import JobStateType as S
from bacalhau.orchestrator.scheduling.retry import MAX_RETRIES
from bacalhau.orchestrator.scheduling.schedule import plan_job
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_context, make_execution, make_job

RETRYABLE = {"Retryable": "true", "IsError": "true"}


def plan(job, *executions, candidates=None, now=NOW, settled=True):
    return plan_job(
        JobView(job, executions),
        make_context(*((make_candidate(),) if candidates is None else candidates), now=now, settled=settled),
    )


def test_a_new_job_is_placed_and_runs():
    made = plan(make_job())
    assert [(e.node_id, e.partition_index, e.state) for e in made.asks] == [("n-1", 0, C.BID_ACCEPTED)]
    assert made.job.state.state_type == S.RUNNING
    assert made.asks[0].reserved.cpu == 0.5
    assert [(h.event.message, bool(h.execution_id)) for h in made.history] == [
        ("Requested execution on n-1", True),
        ("Running", False),
        ("Running", True),
    ]


def test_looking_again_changes_nothing():
    assert plan(make_job(state=S.RUNNING), make_execution()).is_empty


def test_several_executions_share_a_node():
    made = plan(make_job(count=3))
    assert [e.partition_index for e in made.asks] == [0, 1, 2]


def test_work_spreads_to_the_node_with_most_room():
    made = plan(make_job(count=2), candidates=(make_candidate("n-1"), make_candidate("n-2")))
    assert {e.node_id for e in made.asks} == {"n-1", "n-2"}


def test_a_full_cluster_queues_the_job_and_says_why():
    made = plan(make_job(), candidates=(make_candidate(free=0.1),))
    assert made.job.state.state_type == S.QUEUED
    assert made.job.state.message == "waiting for capacity: n-1 busy: needs 0.5 CPU, free 0.1"


def test_a_partly_placed_job_runs_and_waits_for_the_rest():
    made = plan(make_job(count=3), candidates=(make_candidate(free=1.0),))
    assert len(made.asks) == 2 and made.waiting and made.job.state.state_type == S.RUNNING


def test_a_job_that_fits_no_node_fails_at_once_with_every_reason():
    candidates = (
        make_candidate("n-1", engines=("noop",), unavailable={"docker engine": "cannot reach the Docker API at /x"}),
        make_candidate("n-2", cpu=0.1),
    )
    made = plan(make_job(), candidates=candidates)
    assert made.job.state.state_type == S.FAILED
    assert (
        made.job.state.message
        == "cannot reach the Docker API at /x (n-1); needs 0.5 CPU, has 0.1 (n-2): no node can run docker"
    )


def test_a_job_without_any_node_fails_but_not_while_nodes_may_still_come_back():
    assert plan(make_job(), candidates=()).job.state.message == "no compute node has joined: no node can run docker"
    assert plan(make_job(), candidates=(), settled=False).job.state.state_type == S.QUEUED
    assert plan(make_job(queue=60), candidates=()).job.state.state_type == S.QUEUED


def test_a_known_node_that_is_away_is_waited_for():
    assert plan(make_job(), candidates=(make_candidate(connected=False),)).job.state.state_type == S.QUEUED


def test_constraints_choose_the_node():
    wanted = (LabelSelectorRequirement(key="zone", operator="=", values=("b",)),)
    made = plan(
        make_job(constraints=wanted),
        candidates=(make_candidate("n-1", labels={"zone": "a"}), make_candidate("n-2", labels={"zone": "b"})),
    )
    assert [e.node_id for e in made.asks] == ["n-2"]


def test_the_last_partition_completes_the_job():
    made = plan(
        make_job(state=S.RUNNING, count=2),
        make_execution(1, state=C.COMPLETED),
        make_execution(2, state=C.COMPLETED, partition=1),
    )
    assert made.job.state.state_type == S.COMPLETED


def test_a_hopeless_failure_fails_the_job_with_its_own_words():
    failed = make_execution(state=C.FAILED, message="image not found: nope", details={"Hint": "check the name"})
    made = plan(make_job(state=S.RUNNING), failed)
    assert made.job.state.message == "image not found: nope"
    assert made.history[0].event.details["Hint"] == "check the name"


def test_an_infrastructure_fault_is_retried_with_growing_pauses_and_then_given_up():
    failures = [make_execution(1, state=C.FAILED, message="s3: timed out", details=RETRYABLE)]
    for n in range(MAX_RETRIES):
        waiting = plan(make_job(state=S.RUNNING), *failures)
        assert waiting.next_evaluation == NOW + SECOND * 2**n
        assert waiting.job is None or waiting.job.state.message == "retrying after: s3: timed out"
        again = plan(make_job(state=S.RUNNING), *failures, now=waiting.next_evaluation)
        assert len(again.asks) == 1
        failures.append(make_execution(n + 2, state=C.FAILED, message="s3: timed out", details=RETRYABLE))
    assert plan(make_job(state=S.RUNNING), *failures).job.state.message == "s3: timed out"


def test_a_retry_prefers_another_node():
    failed = make_execution(state=C.FAILED, details=RETRYABLE)
    made = plan(
        make_job(state=S.RUNNING),
        failed,
        candidates=(make_candidate("n-1", cpu=8.0), make_candidate("n-2")),
        now=NOW + 10 * SECOND,
    )
    assert made.asks[0].node_id == "n-2"


def test_a_lost_node_gives_its_work_back():
    made = plan(
        make_job(state=S.RUNNING),
        make_execution(),
        candidates=(make_candidate("n-1", connected=False, lost=True), make_candidate("n-2")),
    )
    assert made.cancels[0].state == C.FAILED and "lost" in made.cancels[0].compute_state.message
    assert made.next_evaluation == NOW + SECOND


def test_a_stopped_job_cancels_what_runs():
    made = plan(make_job(state=S.STOPPED), make_execution())
    assert [e.state for e in made.cancels] == [C.CANCELLED]


def test_the_total_time_limit_ends_the_job():
    made = plan(make_job(state=S.RUNNING, total=5, created=NOW - 100 * SECOND), make_execution())
    assert (
        made.job.state.message == "timed out after 5 s: the job's total time limit is over" and len(made.cancels) == 1
    )


def test_the_queue_time_limit_names_what_was_waited_for():
    made = plan(make_job(state=S.QUEUED, queue=5, created=NOW - 6 * SECOND), candidates=(make_candidate(free=0.0),))
    assert made.job.state.state_type == S.FAILED and made.job.state.message.startswith(
        "timed out after 5 s in the queue: waiting for capacity"
    )


@given(count=st.integers(0, 6), cpus=st.lists(st.integers(0, 4), min_size=0, max_size=4))
def test_no_plan_ever_overbooks_a_node(count, cpus):
    candidates = tuple(make_candidate(f"n-{i}", cpu=4.0, free=float(cpu)) for i, cpu in enumerate(cpus))
    made = plan(make_job(count=count, cpu="1"), candidates=candidates)
    for candidate in candidates:
        assert sum(e.reserved.cpu for e in made.asks if e.node_id == candidate.node_id) <= candidate.free.cpu
    assert len({e.partition_index for e in made.asks}) == len(made.asks) <= count
