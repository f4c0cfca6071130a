"""Placing with many nodes: not all of them are looked at, and yet each gets its share, and the one with room is found."""

from collections import Counter

from msgspec.structs import replace

from bacalhau.models.resources import Resources
from bacalhau.orchestrator.cluster import Cluster
from bacalhau.orchestrator.scheduling.place import ENOUGH, needed_resources, place
from tests.unit.orchestrator.make import SECOND, make_job, make_seat

NODES = 10 * ENOUGH


def fleet(free=4.0):
    return [make_seat(f"n-{number:03d}", cpu=4.0, free=free) for number in range(NODES)]


def test_a_job_of_many_parts_uses_all_nodes_alike():
    job, seats = make_job(cpu="1"), fleet()
    need = needed_resources(job)
    taken = Counter()
    for part in range(3 * NODES):
        found = place(job, need, seats, {}, part * ENOUGH)
        assert seats[found.place].node_id == found.node_id
        seats[found.place] = seats[found.place]._replace(free=seats[found.place].free.minus(need))
        taken[found.node_id] += 1
    assert len(taken) == NODES
    assert max(taken.values()) <= 4


def test_the_only_node_with_room_is_found_wherever_one_begins():
    job, seats = make_job(cpu="2"), fleet(free=1.0)
    seats[70] = make_seat("n-070", cpu=4.0)
    for start in (0, 69, 70, 71, NODES, 10**9):
        assert place(job, needed_resources(job), seats, {}, start).node_id == "n-070"


def test_without_room_every_node_says_why():
    job = make_job(cpu="2")
    found = place(job, needed_resources(job), fleet(free=1.0), {})
    assert (found.node_id, len(found.refusals)) == ("", NODES)


def test_seats_follow_what_is_held_and_who_is_there():
    cluster = Cluster(grace_ns=10 * SECOND)
    here, away = make_seat("n-here", cpu=4.0).node, make_seat("n-away", cpu=4.0, connected=False).node
    cluster.put(here, 0)
    cluster.put(away, 0)
    assert {s.node_id: (s.free.cpu, s.is_lost) for s in cluster.seats(5 * SECOND)} == {"n-here": (4.0, False), "n-away": (4.0, False)}
    assert {s.node_id: s.is_lost for s in cluster.seats(11 * SECOND)} == {"n-here": False, "n-away": True}
    cluster.put(replace(away, connection_state=here.connection_state), 12 * SECOND)
    assert not any(s.is_lost for s in cluster.seats(30 * SECOND))
    larger = replace(here.info.compute, max_capacity=Resources(cpu=8.0))
    cluster.put(replace(here, info=replace(here.info, compute_node_info=larger)), 13 * SECOND)
    assert {s.free.cpu for s in cluster.seats(30 * SECOND)} == {8.0, 4.0}
    cluster.forget("n-here")
    assert [s.node_id for s in cluster.seats(30 * SECOND)] == ["n-away"]
