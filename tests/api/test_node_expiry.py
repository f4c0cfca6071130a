"""Nodes that left for good are forgotten; what people decided about a node is not."""

import pytest

from bacalhau.lib.clock import now_ns
from bacalhau.orchestrator.nodes import expiry
from bacalhau.orchestrator.nodes.expiry import COMES_BACK, Expiry
from bacalhau.orchestrator.nodes.handshake import load_nodes, on_gone
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.limits import SECOND, Retention
from tests.api.room import open_room
from tests.api.test_nodes import change, execution, join, listed

DAYS = 24 * 3600 * SECOND


@pytest.fixture
def later(monkeypatch):
    """Let so many ns pass for the retention."""
    return lambda ns: monkeypatch.setattr(expiry, "now_ns", lambda: now_ns() + ns)


async def test_who_is_away_for_too_long_and_has_nothing_is_forgotten_but_no_decision_is(tmp_path, later):
    async with open_room(tmp_path) as room:
        orch = room.orch
        orch.retention = Retention(nodes_age=30 * DAYS / SECOND)
        for name in ("gone", "cordoned", "labelled", "rejected", "busy", "here"):
            await join(room, f"n-{name}")
        await change(room, "n-cordoned", "cordon")
        await change(room, "n-labelled", "labels", Labels={"a": "b"})
        await change(room, "n-rejected", "reject")
        orch.cluster.hold(execution(node_id="n-busy"))
        for name in ("gone", "cordoned", "labelled", "busy"):
            on_gone(orch, f"n-{name}")
        keeper, all_of_them = Expiry(orch), sorted(await listed(room))
        later(29 * DAYS)
        await keeper.forget_absent()
        assert sorted(await listed(room)) == all_of_them
        later(31 * DAYS)
        await keeper.forget_absent()
        assert sorted(await listed(room)) == [name for name in all_of_them if name != "n-gone"]
        assert len(await orch.store.list_nodes()) == 5
        orch.retention = Retention()
        orch.cluster.release("e-1")
        await keeper.forget_absent()
        assert len(await listed(room)) == 5
        assert (await join(room, "n-gone")).accepted


async def test_an_approval_is_a_decision_too(tmp_path, later):
    async with open_room(tmp_path) as room:
        room.orch.gate = Gate(room.orch.store, "", manual=True)
        room.orch.retention = Retention(nodes_age=60)
        for name in ("n-approved", "n-pending"):
            await join(room, name)
        await change(room, "n-approved", "approve")
        for name in ("n-approved", "n-pending"):
            on_gone(room.orch, name)
        later(DAYS)
        await Expiry(room.orch).forget_absent()
        assert await listed(room) == ["n-approved"]


async def test_absence_is_counted_over_restarts_and_everybody_gets_time_to_come_back(tmp_path, later):
    async with open_room(tmp_path) as room:
        orch = room.orch
        orch.retention = Retention(nodes_age=30 * DAYS / SECOND)
        for name in ("n-away", "n-here"):
            await join(room, name)
        on_gone(orch, "n-away")
        await Expiry(orch).forget_absent()
        since = orch.cluster.get("n-away").connection_state.disconnected_since
        orch.cluster = Cluster(1)
        await load_nodes(orch)
        assert orch.cluster.get("n-away").connection_state.disconnected_since == since
        assert orch.cluster.get("n-here").connection_state.disconnected_since > since
        orch.retention = Retention(nodes_age=0.001)
        await Expiry(orch).forget_absent()
        assert sorted(await listed(room)) == ["n-away", "n-here"]
        later(COMES_BACK)
        await Expiry(orch).forget_absent()
        assert await listed(room) == []
