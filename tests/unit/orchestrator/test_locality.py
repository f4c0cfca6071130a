"""Jobs go to where their inputs are: as a preference where inputs can be brought, and as a wait where they cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bacalhau.models.execution.execution import ComputeStateType as C
from bacalhau.models.execution.view import JobView
from bacalhau.models.job.job import InputSource
from bacalhau.models.job.network import NetworkConfig, PortMapping
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType as S
from bacalhau.models.wire.messages import InputPresence
from bacalhau.orchestrator.evaluation.locating import sum_up
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.place import decide_claim, needed_resources, place
from bacalhau.orchestrator.scheduling.schedule import plan_job
from bacalhau.orchestrator.scheduling.steps import find_bars
from bacalhau.orchestrator.scheduling.view import NOT_TOLD, SECOND, Holders, Nearness
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.locality import Locality, Question
from tests.unit.orchestrator.make import NOW, make_candidate, make_context, make_execution, make_job

MISSING = "volume /data does not exist"
LARGER, HOLDER = make_candidate("n-1", cpu=8.0), make_candidate("n-2", cpu=1.0)


def needs(job, **fields):
    return replace(job, tasks=(replace(job.task, **fields),))


def with_input(**how):
    return needs(
        make_job(**how), input_sources=(InputSource(source=SpecConfig(type="ipfs", params={"CID": "x"}), target="/in"),)
    )


def plan(job, *executions, candidates=(LARGER, HOLDER), **around):
    return plan_job(JobView(job, executions), make_context(*candidates, **around))


def nodes(made):
    return [e.node_id for e in made.asks]


def test_the_fewest_failures_come_first_then_the_most_inputs_then_the_most_room():
    job = make_job()
    candidates, need = (
        Candidates([make_candidate("n-1", cpu=8.0), make_candidate("n-2", cpu=4.0), make_candidate("n-3")]),
        needed_resources(job),
    )
    assert place(job, need, candidates, {}) == "n-1"
    assert place(job, need, candidates, {}, near=Nearness({"n-3": 1})) == "n-3"
    assert place(job, need, candidates, {}, near=Nearness({"n-2": 1, "n-3": 2})) == "n-3"
    assert place(job, need, candidates, {}, near=Nearness({"n-2": 2, "n-3": 2})) == "n-2"
    assert place(job, need, candidates, {"n-3": 1}, near=Nearness({"n-3": 9})) == "n-1"
    assert place(job, need, candidates, {"n-1": 2, "n-2": 2, "n-3": 1}, near=Nearness({"n-1": 9})) == "n-3"


def test_what_can_be_brought_is_brought_when_its_holder_is_full():
    assert nodes(plan(make_job(count=3), holders=Holders({"n-2": 1}))) == ["n-2", "n-2", "n-1"]


def test_what_only_one_node_can_have_waits_for_that_node():
    told = Holders({"n-2": 1}, {"n-1": MISSING})
    made = plan(make_job(count=3), holders=told)
    assert nodes(made) == ["n-2", "n-2"]
    assert made.waiting == "waiting for capacity: n-2 busy: needs 0.5 CPU, free 0"
    away = plan(make_job(), candidates=(LARGER, make_candidate("n-2", connected=False)), holders=told)
    assert (nodes(away), away.waiting) == ([], "waiting for capacity: n-2 is not connected")


def test_a_failure_on_the_only_holder_is_tried_again_there():
    failed = make_execution(1, state=C.FAILED, node="n-2", details={"Retryable": "true"})
    assert nodes(
        plan(make_job(state=S.RUNNING), failed, now=NOW + SECOND, holders=Holders({"n-2": 1}, {"n-1": MISSING}))
    ) == ["n-2"]


def test_a_node_that_did_not_answer_is_the_last_resort():
    silent = make_candidate("n-3", cpu=16.0)
    assert nodes(
        plan(make_job(count=3), candidates=(LARGER, HOLDER, silent), holders=Holders({"n-2": 1}, {"n-1": MISSING}))
    ) == ["n-2", "n-2", "n-3"]


def test_where_no_node_has_it_a_node_says_so_itself():
    missing = Holders({}, {"n-1": MISSING, "n-2": MISSING})
    assert nodes(plan(make_job(), holders=missing)) == ["n-1"]
    parts = Holders({"n-1": 1, "n-2": 1}, {"n-1": MISSING, "n-2": MISSING})  # each has one of two
    assert nodes(plan(make_job(), holders=parts)) == ["n-1"]
    forgotten = Holders({"n-9": 1}, {"n-1": MISSING})
    assert nodes(plan(make_job(), candidates=(LARGER,), holders=forgotten)) == ["n-1"]


def test_after_a_start_the_node_that_has_it_may_still_be_on_its_way():
    made = plan(make_job(), candidates=(LARGER,), settled=False, holders=Holders({}, {"n-1": MISSING}))
    assert (nodes(made), made.next_evaluation) == ([], NOW + SECOND)


def test_no_node_is_kept_free_for_a_job_that_cannot_have_its_inputs_there():
    job, busy = make_job(cpu="4"), [make_candidate("n-1", cpu=4.0, free=3.0), make_candidate("n-2", cpu=4.0, free=1.0)]
    around = make_context(*busy, holders=Holders({"n-2": 1}, {"n-1": MISSING}))
    assert decide_claim(job, needed_resources(job), around.candidates) == "n-1"
    assert decide_claim(job, needed_resources(job), around.candidates, find_bars(job, (), around)) == "n-2"


def test_answers_are_kept_for_one_version_until_the_job_ends():
    locality, job = Locality(), with_input()
    assert locality.unasked(job, ["n-1", "n-2"]) == {"n-1", "n-2"}
    locality.put(job.id, Question(1, (), frozenset({"n-1"})))
    assert list(locality.take(9)) == [job.id] and locality.holders(job) == NOT_TOLD
    locality.note(job.id, frozenset({"n-1", "n-9"}), Holders({"n-1": 1}))
    assert locality.unasked(job, ["n-1", "n-2", "n-9"]) == {"n-2"}
    locality.put(job.id, Question(1, (), frozenset({"n-2"})))
    locality.take(9)
    locality.note(job.id, frozenset({"n-2"}), Holders({}, {"n-2": MISSING}))
    assert locality.holders(job) == Holders({"n-1": 1}, {"n-2": MISSING})
    newer = replace(job, version=2)
    assert (locality.holders(newer), locality.unasked(newer, ["n-1"])) == (NOT_TOLD, {"n-1"})
    locality.put(job.id, Question(2, (), frozenset({"n-1"})))
    locality.take(9)
    locality.forget(job.id)
    locality.note(job.id, frozenset({"n-1"}), Holders({"n-1": 1}))
    assert (locality.holders(newer), locality.unasked(job, ["n-1"])) == (NOT_TOLD, {"n-1"})


def listening(port=8080, **how):
    return needs(
        make_job(**how),
        network=NetworkConfig(type="Host", ports=(PortMapping(name="web", static=port), PortMapping(name="any"))),
    )


def test_a_static_port_is_taken_once_on_a_node():
    made = plan(listening(count=3), candidates=(make_candidate("n-1", cpu=8.0), HOLDER))
    assert nodes(made) == ["n-1", "n-2"]
    assert made.waiting == "waiting for capacity: n-1 busy: port 8080 is in use; n-2 busy: port 8080 is in use"
    assert (
        nodes(plan(needs(make_job(count=3), network=NetworkConfig(type="Host", ports=(PortMapping(name="any"),)))))
        == ["n-1"] * 3
    )


def test_no_node_is_kept_free_for_who_waits_for_a_port():
    job, candidates = listening(), Candidates([make_candidate("n-1", free=0.0)._replace(ports=frozenset({8080}))])
    assert decide_claim(job, needed_resources(job), candidates) == ""


def test_ports_are_held_until_the_execution_ends_also_over_a_restart():
    cluster, first, second = Cluster(grace_ns=10 * SECOND), make_execution(1), make_execution(2)
    cluster.hold(first, listening())
    cluster.put(make_candidate("n-1").node, NOW)
    cluster.hold(replace(second, job=listening(9090)))
    assert cluster.candidates.by_id["n-1"].ports == {8080, 9090}
    cluster.put(make_candidate("n-1").node, NOW)
    cluster.release(first.id)
    assert cluster.candidates.by_id["n-1"].ports == {9090}
    with cluster.candidates.trial():
        cluster.candidates.take("n-1", needed_resources(make_job()), frozenset({1234}))
        assert cluster.candidates.by_id["n-1"].ports == {1234, 9090}
    cluster.hold(make_execution(3), make_job())
    assert cluster.candidates.by_id["n-1"].ports == {9090}


def labelled(node_id, cpu, **labels):
    candidate = make_candidate(node_id, cpu=cpu)
    info = replace(candidate.node.info, labels={name.replace("_", "."): value for name, value in labels.items()})
    return candidate._replace(node=replace(candidate.node, info=info))


LABELS = ({}, {"region": "eu-1"}, {"zone": "eu-1a"}, {"region": "us-1"}, {"zone": "us-1-b"})


@given(
    nodes=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(LABELS)), min_size=1, max_size=8),
    held=st.dictionaries(st.integers(0, 7), st.integers(0, 3)),
    failures=st.dictionaries(st.integers(0, 7), st.integers(1, 2)),
    pack=st.booleans(),
    few=st.booleans(),
)
def test_a_node_is_chosen_by_failures_then_bytes_then_region_then_room(nodes, held, failures, pack, few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bacalhau.orchestrator.scheduling.candidates.MANY_LEADS", 64 if few else 0)
        made = [labelled(f"n-{n}", float(cpu), **labels) for n, (cpu, labels) in enumerate(nodes)]
        candidates = Candidates(made, pack=pack)
        job = make_job(cpu="1")
        near = Nearness({f"n-{n}": size for n, size in held.items()}, candidates.in_regions(("eu-1",)))
        missed = {f"n-{n}": count for n, count in failures.items()}
        found = place(job, needed_resources(job), candidates, missed, near=near)
    ranks = {
        f"n-{n}": (failures.get(n, 0), -held.get(n, 0), "eu-1" not in str(labels), cpu if pack else -cpu)
        for n, (cpu, labels) in enumerate(nodes)
        if cpu >= 1
    }
    assert (found == "") == (not ranks)
    assert not found or ranks[found] == min(ranks.values())


def test_the_nodes_of_a_region_follow_their_labels():
    candidates = Candidates([labelled("n-1", 1.0, topology_kubernetes_io="x"), labelled("n-2", 1.0, zone="eu-1a")])
    assert candidates.in_regions(("eu-1", "us-1")) == {"n-2"} and candidates.in_regions(("eu-1a",)) == {"n-2"}
    candidates.put(labelled("n-2", 1.0, region="us-1"))
    candidates.put(labelled("n-1", 1.0, zone="eu-1"))
    assert candidates.in_regions(("eu-1",)) == {"n-1"} and candidates.in_regions(("us-1",)) == {"n-2"}
    candidates.drop("n-1")
    assert not candidates.in_regions(("eu-1",)) and not candidates.in_regions(())


def test_a_whole_input_weighs_more_than_cached_bytes_and_more_bytes_more_than_less():
    told = sum_up(
        {
            "n-1": [InputPresence(here=True), InputPresence()],
            "n-2": [InputPresence(), InputPresence(bytes=10**18)],
            "n-3": [InputPresence(bytes=5), InputPresence()],
            "n-4": [InputPresence(), InputPresence()],
        }
    )
    assert told.held["n-3"] < told.held["n-2"] < told.held["n-1"] and "n-4" not in told.held
