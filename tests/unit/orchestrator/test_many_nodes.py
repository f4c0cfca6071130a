"""Placing with many nodes: each gets its share, the one with room is found, and what is taken on trial is
given back.
"""

from collections import Counter
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bacalhau.models.job.job import LabelSelectorRequirement
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import REJECTED
from bacalhau.orchestrator.scheduling.candidates import Candidates
from bacalhau.orchestrator.scheduling.place import (
    Bars,
    decide_claim,
    find_shortage,
    needed_resources,
    place,
)
from bacalhau.orchestrator.state.cluster import Cluster
from tests.unit.orchestrator.make import NOW, SECOND, make_candidate, make_execution, make_job

NODES = 160


def fleet(free=4.0, **how):
    return Candidates([make_candidate(f"n-{number:03d}", cpu=4.0, free=free) for number in range(NODES)], **how)


def fill(candidates, parts, job):
    need = needed_resources(job)
    for _ in range(parts):
        candidates.take(place(job, need, candidates, {}), need)
    return Counter({s.node_id: round(4.0 - s.free.cpu) for s in candidates if s.free.cpu < 4.0})


def test_a_job_of_many_parts_uses_all_nodes_alike():
    taken = fill(fleet(), 3 * NODES, make_job(cpu="1"))
    assert set(taken.values()) == {3} and len(taken) == NODES


def test_packing_fills_one_node_after_the_other():
    taken = fill(fleet(pack=True), 10, make_job(cpu="1"))
    assert sorted(taken.values()) == [2, 4, 4]


def test_the_only_node_with_room_is_found():
    candidates = fleet(free=1.0)
    candidates.put(make_candidate("n-070", cpu=4.0))
    job = make_job(cpu="2")
    assert place(job, needed_resources(job), candidates, {}) == "n-070"


def test_without_room_every_node_says_why():
    job, candidates = make_job(cpu="2"), fleet(free=1.0)
    need = needed_resources(job)
    assert place(job, need, candidates, {}) == ""
    assert find_shortage(job, need, candidates).number == NODES


def test_a_node_where_the_job_failed_or_that_is_kept_for_another_comes_last_or_not_at_all():
    candidates, job = Candidates([make_candidate("n-1", cpu=8.0), make_candidate("n-2")]), make_job()
    need = needed_resources(job)
    assert place(job, need, candidates, {"n-1": 1}) == "n-2"
    assert place(job, need, candidates, {"n-1": 1, "n-2": 2}) == "n-1"
    assert place(job, need, candidates, {}, Bars(kept={"n-1": "is kept"})) == "n-2"
    assert place(job, need, candidates, {}, Bars({"n-1": "no"}, {"n-2": "is kept"})) == ""


def test_a_node_that_changes_is_asked_again():
    wanted = make_job(constraints=(LabelSelectorRequirement(key="zone", operator="=", values=("b",)),))
    candidates, need = Candidates([make_candidate("n-1", labels={"zone": "a"})]), needed_resources(wanted)
    assert place(wanted, need, candidates, {}) == ""
    candidates.put(make_candidate("n-1", labels={"zone": "b"}))
    assert place(wanted, need, candidates, {}) == "n-1"
    candidates.put(candidates.by_id["n-1"]._replace(node=replace(candidates.by_id["n-1"].node, membership=REJECTED)))
    assert place(wanted, need, candidates, {}) == ""


def test_the_node_to_keep_free_is_the_one_that_lacks_least():
    job = make_job(cpu="4")
    need = needed_resources(job)
    candidates = Candidates(
        [
            make_candidate("n-1", cpu=4.0, free=1.0),
            make_candidate("n-2", cpu=4.0, free=2.0),
            make_candidate("n-3", cpu=2.0),
        ]
    )
    assert decide_claim(job, need, candidates) == "n-2"
    assert decide_claim(job, need, Candidates([make_candidate("n-3", cpu=2.0)])) == ""


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=20))
def test_the_order_of_seats_is_always_that_of_their_room(changes):
    candidates = Candidates(make_candidate(f"n-{number}", cpu=4.0) for number in range(6))
    with candidates.trial():
        for number, cpu in changes:
            candidates.set_free(f"n-{number}", Resources(cpu=float(cpu), memory=10**9))
        found = [s.free.cpu for s in candidates.with_room(Resources())]
        assert found == sorted((s.free.cpu for s in candidates), reverse=True)
    assert {s.free for s in candidates} == {make_candidate(cpu=4.0).free}
    assert [s.node_id for s in candidates.with_room(Resources())] == [f"n-{number}" for number in range(5, -1, -1)]


def test_seats_follow_what_is_held_and_who_is_there():
    cluster, numbers = Cluster(grace_ns=10 * SECOND), count(1)
    here, away = make_candidate("n-here", cpu=4.0).node, make_candidate("n-away", cpu=4.0, connected=False).node
    cluster.put(here, NOW)
    cluster.put(away, NOW)
    candidates = cluster.candidates

    def lost(now):
        return [s.node_id for s in candidates if s.is_lost(now)]

    assert {s.node_id: s.free.cpu for s in candidates} == {"n-here": 4.0, "n-away": 4.0}
    assert (lost(NOW + 5 * SECOND), lost(NOW + 11 * SECOND)) == ([], ["n-away"])
    held = make_execution(next(numbers), node="n-here")
    cluster.hold(held)
    assert candidates.by_id["n-here"].free.cpu == 3.5
    cluster.put(replace(away, connection_state=here.connection_state), NOW + 12 * SECOND)
    assert lost(NOW + 30 * SECOND) == []
    larger = replace(here.info.compute, max_capacity=Resources(cpu=8.0))
    cluster.put(replace(here, info=replace(here.info, compute_node_info=larger)), NOW + 13 * SECOND)
    assert candidates.by_id["n-here"].free.cpu == 7.5
    assert cluster.release(held.id) and candidates.by_id["n-here"].free.cpu == 8.0
    cluster.forget("n-here")
    assert [s.node_id for s in candidates] == ["n-away"]
