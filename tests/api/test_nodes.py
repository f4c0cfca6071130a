"""Nodes over HTTP: who is listed and in which order, who may work, and what people can change about them."""

import asyncio
from functools import partial

import msgspec
import pytest

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Forbidden, HandshakeRequired, Unauthorized, Unavailable
from bacalhau.models.execution.execution import AllocatedResources, DesiredState, DesiredStateType, Execution
from bacalhau.models.job.resources import Resources
from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo, NodeState
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.messages.dispatcher import drop_messages
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.nodes.handshake import load_nodes, on_gone, on_request
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.ports.bus import Delivery
from bacalhau.ports.store import PendingMessage
from tests.api.room import NODES, open_room


def info(node_id, *, cpu=2.0, **labels):
    size = Resources(cpu=cpu, memory=10**9, disk=10**10)
    offer = ComputeNodeInfo(
        execution_engines=("docker",), max_capacity=size, max_job_requirements=size, available_capacity=size
    )
    return NodeInfo(node_id=node_id, labels={"name": node_id, **labels}, compute_node_info=offer)


async def say(room, node_id, message):
    return await on_request(room.orch, Delivery(node_id, m.MESSAGE_NAMES[type(message)], message))


async def join(room, node_id, *, running=(), seq=0, **about):
    return await say(
        room,
        node_id,
        m.HandshakeRequest(node_info=info(node_id, **about), running=running, last_orchestrator_seq_num=seq),
    )


async def change(room, node_id, action, **more):
    return await room.http.put(f"{NODES}/{node_id}", json={"Action": action, "NodeID": node_id, **more})


async def node(room, node_id):
    return (await room.http.get(f"{NODES}/{node_id}")).json()["Node"]


async def listed(room, **params):
    answer = await room.http.get(NODES, params=params)
    assert answer.status_code == 200, answer.text
    return [found["Info"]["NodeID"] for found in answer.json()["Nodes"]]


def execution(execution_id="e-1", node_id="n-1", cpu=0.5):
    return Execution(
        id=execution_id,
        job_id="j-1",
        node_id=node_id,
        desired_state=DesiredState(state_type=DesiredStateType.RUNNING),
        allocated_resources=AllocatedResources(tasks={"main": Resources(cpu=cpu)}),
    )


async def test_approving_and_rejecting(tmp_path):
    async with open_room(tmp_path) as room:
        room.orch.gate = Gate(room.orch.store, "", manual=True)
        assert (await join(room, "n-1")).reason == "node registered, it waits for approval"
        assert (await node(room, "n-1"))["Membership"] == "PENDING"
        assert (await change(room, "n-1", "approve", Message="known to me")).json() == {"Success": True}
        assert (await node(room, "n-1"))["Membership"] == "APPROVED" and (await node(room, "n-1"))[
            "Message"
        ] == "known to me"
        again = await change(room, "n-1", "approve")
        assert (again.status_code, again.json()["Message"]) == (409, "node n-1 already approved")
        assert (await change(room, "n-1", "Reject", Message="broken disk")).status_code == 200
        rejected = await node(room, "n-1")
        assert (rejected["Membership"], rejected["Connection"]) == ("REJECTED", "DISCONNECTED")
        assert rejected["ConnectionState"]["LastError"] == "node rejected"
        assert (await change(room, "n-1", "reject")).json()["Message"] == "node n-1 already rejected"
        refused = await join(room, "n-1")
        assert (refused.accepted, refused.reason) == (False, "node n-1 was rejected. broken disk")
        assert (await change(room, "n-1", "approve")).status_code == 200
        assert (await join(room, "n-1")).accepted


async def test_a_deleted_node_is_gone_and_comes_back_as_a_new_one(tmp_path):
    async with open_room(tmp_path) as room:
        await join(room, "n-1")
        await change(room, "n-1", "cordon")
        room.orch.gate = Gate(room.orch.store, "", manual=True)
        assert (await change(room, "n-1", "delete")).json() == {"Success": True}
        assert await listed(room) == [] and (await change(room, "n-1", "delete")).status_code == 404
        with pytest.raises(HandshakeRequired):
            await say(room, "n-1", m.HeartbeatRequest(node_id="n-1"))
        await join(room, "n-1")
        assert (await node(room, "n-1"))["Membership"] == "PENDING" and "Cordoned" not in await node(room, "n-1")


REFUSED = {
    "unknown action": ({"Action": "promote"}, "unknown action 'promote'"),
    "no action": ({}, "field 'Action' is missing"),
    "null action": ({"Action": None}, "field 'Action' is missing"),
    "a deadline for nothing": ({"Action": "cordon", "Deadline": 5}, "field 'Deadline'"),
    "a deadline in the past": ({"Action": "drain", "Deadline": -1}, "field 'Deadline'"),
    "a deadline no clock reaches": ({"Action": "drain", "Deadline": 2**70}, "field 'Deadline'"),
    "no labels": ({"Action": "labels"}, "field 'Labels' is missing"),
    "labels of a number": ({"Action": "labels", "Labels": {"a": 1}}, "field 'Labels'"),
    "a label without a name": ({"Action": "labels", "Labels": {" ": "x"}}, "a label without a name"),
    "a label that no selector finds": (
        {"Action": "labels", "Labels": {"a b": "x"}},
        "field 'Labels': key: Invalid value: \"a b\"",
    ),
    "labels for nothing": ({"Action": "approve", "Labels": {"a": "b"}}, "field 'Labels' belongs to the action labels"),
    "an unknown field": ({"Action": "drain", "Deadlin": 5}, "unknown field 'Deadlin'"),
}


async def test_what_cannot_be_changed_is_refused_in_words(tmp_path, subtests):
    async with open_room(tmp_path) as room:
        await join(room, "n-1")
        for name, (body, text) in REFUSED.items():
            with subtests.test(name):
                answer = await room.http.put(f"{NODES}/n-1", json=body)
                assert answer.status_code == 400 and text in answer.json()["Message"], answer.text
        unknown = await room.http.put(f"{NODES}/n-1", json={"Action": "promote"})
        assert "approve, reject, delete, cordon, uncordon, drain, labels" in unknown.json()["Hint"]
        assert (await change(room, "n-9", "approve")).status_code == 404
        room.orch.cluster.put(
            NodeState(info=NodeInfo(node_id="n-orchestrator", node_type="Requester", compute_node_info=None)), 0
        )
        assert "is an orchestrator" in (await change(room, "n-orchestrator", "drain")).json()["Message"]


async def test_cordoned_and_drained_nodes_stay_so_over_a_restart(tmp_path):
    async with open_room(tmp_path) as room:
        for node_id in ("n-1", "n-2", "n-3"):
            await join(room, node_id)
        await change(room, "n-1", "cordon", Message="new disk")
        await change(room, "n-2", "drain", Deadline=60)
        await change(room, "n-3", "drain")
        await change(room, "n-3", "uncordon")
        room.orch.cluster = Cluster(1)
        await load_nodes(room.orch)
        await join(room, "n-2")
        one, two, three = [await node(room, node_id) for node_id in ("n-1", "n-2", "n-3")]
        assert (one["Cordoned"], one["Message"], one["Connection"]) == (True, "new disk", "DISCONNECTED")
        assert two["Drain"]["Deadline"] > two["Drain"]["Since"] and two["Cordoned"]
        assert "Cordoned" not in three and "Drain" not in three


async def test_labels_changed_at_run_time_go_before_the_nodes_own(tmp_path):
    async with open_room(tmp_path) as room:
        await join(room, "n-1", zone="a", disk="ssd")
        assert (await change(room, "n-1", "labels", Labels={"zone": "b", "disk": None, "rack": "7"})).status_code == 200
        assert (await node(room, "n-1"))["Info"]["Labels"] == {"name": "n-1", "zone": "b", "rack": "7"}
        await join(room, "n-1", zone="c", disk="hdd", gpu="yes")
        assert (await node(room, "n-1"))["Info"]["Labels"] == {"name": "n-1", "zone": "b", "rack": "7", "gpu": "yes"}
        await say(room, "n-1", m.UpdateNodeInfoRequest(node_info=info("n-1", gpu="no")))
        assert (await node(room, "n-1"))["Info"]["Labels"]["gpu"] == "no"
        assert await listed(room, labels="zone=b") == ["n-1"] and await listed(room, labels="zone=c") == []


async def test_filters_and_order(tmp_path):
    async with open_room(tmp_path) as room:
        for node_id, cpu in (("n-1", 2.0), ("n-2", 8.0), ("n-3", 4.0)):
            await join(room, node_id, cpu=cpu)
        await change(room, "n-2", "reject")
        room.orch.cluster.hold(execution(node_id="n-3", cpu=3.0))
        assert await listed(room, order_by="available_cpu") == ["n-1", "n-3", "n-2"]
        assert await listed(room, order_by="available_cpu", reverse="true", limit="1") == ["n-2"]
        for spelling in ("filter-approval", "filter_approval", "Filter-Approval"):
            assert await listed(room, **{spelling: "rejected"}) == ["n-2"]
        for spelling in ("filter-status", "filter_status"):
            assert await listed(room, **{spelling: "Connected"}) == ["n-1", "n-3"]
        bad = await room.http.get(NODES, params={"filter-status": "asleep"})
        assert bad.status_code == 400 and "CONNECTED, DISCONNECTED" in bad.json()["Message"]
        assert (await room.http.get(f"{NODES}/n-")).status_code == 409
        assert (await room.http.get(f"{NODES}/n-9")).json()["Message"] == "node not found: n-9"


async def test_capacity_is_what_is_not_reserved_and_nothing_on_a_node_that_is_away(tmp_path):
    async with open_room(tmp_path) as room:
        await join(room, "n-1")
        room.orch.cluster.hold(execution())
        offer = (await node(room, "n-1"))["Info"]["ComputeNodeInfo"]
        assert (offer["AvailableCapacity"]["CPU"], offer["RunningExecutions"]) == (1.5, 1)
        room.orch.cluster.release("e-1")
        assert (await node(room, "n-1"))["Info"]["ComputeNodeInfo"]["AvailableCapacity"]["CPU"] == 2.0
        on_gone(room.orch, "n-1", "the node is shutting down")
        away = await node(room, "n-1")
        assert (
            away["Info"]["ComputeNodeInfo"]["AvailableCapacity"] == {}
            and away["ConnectionState"]["LastError"] == "the node is shutting down"
        )
        assert away["ConnectionState"]["DisconnectedSince"] > away["ConnectionState"]["ConnectedSince"]


async def test_numbers_of_messages_are_true(tmp_path):
    async with open_room(tmp_path) as room:
        await join(room, "n-1", seq=12)
        room.orch.cluster.numbers("n-1").done(8)
        beat = m.HeartbeatRequest(node_id="n-1", last_orchestrator_seq_num=27)
        assert (await say(room, "n-1", beat)).last_compute_seq_num == 8
        state = (await node(room, "n-1"))["ConnectionState"]
        assert (state["LastComputeSeqNum"], state["LastOrchestratorSeqNum"]) == (8, 27)


async def test_a_message_is_not_counted_before_it_is_durable(tmp_path):
    """Who is told its number sends it no more."""
    async with open_room(tmp_path) as room:
        await join(room, "n-1", running=None)
        lost = Delivery("n-1", "BidResult", m.BidResult(execution_id="e-1", job_id="j-1", accepted=True), 5)
        await on_message(room.orch, lost._replace(seq=4))  # of an execution that nobody knows: there is nothing to keep
        assert room.orch.cluster.number("n-1") == 4
    with pytest.raises(Unavailable, match="closed"):
        await on_message(room.orch, lost)
    room.orch.cluster.numbers("n-1").begin(6)
    room.orch.cluster.numbers("n-1").done(6)
    assert room.orch.cluster.number("n-1") == 4


async def test_a_goodbye_of_another_make_is_answered_once_and_without_an_error(tmp_path):
    """The original answers it twice, first with an error."""
    async with open_room(tmp_path) as room:
        await join(room, "n-1", running=None)
        room.orch.cluster.numbers("n-1").done(19)
        assert await say(
            room, "n-1", m.ShutdownNoticeRequest(node_id="n-1", last_orchestrator_seq_num=20)
        ) == m.ShutdownNoticeResponse(last_compute_seq_num=19)
        assert (await node(room, "n-1"))["ConnectionState"]["LastError"] == "the node is shutting down"
        with pytest.raises(HandshakeRequired):
            await say(room, "n-1", m.HeartbeatRequest(node_id="n-1"))


async def test_nodes_of_another_make_have_more_time_to_come_back(tmp_path):
    async with open_room(tmp_path) as room:
        room.orch.cluster = cluster = Cluster(5_000_000_000, 60_000_000_000)
        await join(room, "n-ours")
        await join(room, "n-theirs", running=None)
        for node_id in ("n-ours", "n-theirs"):
            on_gone(room.orch, node_id)
        assert cluster.lost(now_ns() + 6_000_000_000) == {"n-ours"}
        assert cluster.lost(now_ns() + 61_000_000_000) == {"n-ours", "n-theirs"}


async def test_who_is_no_member_gets_no_content_and_no_false_name(tmp_path):
    async with open_room(tmp_path) as room:
        room.orch.gate = Gate(room.orch.store, "", manual=True)
        await join(room, "n-1")
        for node_id in ("n-1", "n-unknown"):
            with pytest.raises(Forbidden):
                await say(room, node_id, m.PutBlocksRequest(blocks={}))
        assert not (await say(room, "n-1", m.HandshakeRequest(node_info=info("n-2")))).accepted
        assert not (
            await say(
                room, "n-1", m.HandshakeRequest(node_info=msgspec.structs.replace(info("n-1"), node_type="Requester"))
            )
        ).accepted


async def test_the_gate_knows_members_secrets_and_who_was_sent_away(tmp_path):
    async with open_room(tmp_path) as room:
        gate = room.orch.gate = Gate(room.orch.store, "token", manual=True)
        assert await gate.authorize("n-1", "mine", "token") is False
        await join(room, "n-1")
        for secret, token in (("mine", "wrong"), ("other", "token"), ("", "token")):
            with pytest.raises(Unauthorized):
                await gate.authorize("n-1", secret, token)
        await change(room, "n-1", "approve")
        assert await gate.authorize("n-1", "mine", "token") is True
        await change(room, "n-1", "reject")
        with pytest.raises(Unauthorized, match="was rejected"):
            await gate.authorize("n-1", "mine", "token")
        await change(room, "n-1", "delete")
        assert await gate.authorize("n-1", "other", "token") is False


async def test_what_could_not_be_stored_is_not_forgotten(tmp_path):
    async with open_room(tmp_path) as room:
        orch = room.orch
        await orch.gate.authorize("n-1", "mine", "")
        settled = [PendingMessage(seq, "n-1", "CancelExecution", b"{}") for seq in (3, 4)]
        orch.outbox.settled.items = settled
    with pytest.raises(Unavailable, match="closed"):
        await join(room, "n-1")
    assert orch.gate.new_secret("n-1")
    assert not await orch.outbox.settled.forget(partial(drop_messages, orch))
    assert orch.outbox.settled.items == settled


async def test_silence_ends_what_no_closed_connection_ended(tmp_path):
    async with open_room(tmp_path) as room:
        for node_id in ("n-1", "n-2", "n-3"):
            await join(room, node_id)
        now = now_ns()
        room.orch.cluster.heard("n-1", now - 61_000_000_000)
        room.orch.cluster.heard("n-2", now - 61_000_000_000)
        on_gone(room.orch, "n-2")
        assert room.orch.cluster.silent(now - 60_000_000_000) == ["n-1"]
        await change(room, "n-1", "delete")
        assert room.orch.cluster.silent(now_ns()) == ["n-3"]


async def test_a_node_that_registers_while_work_is_being_placed_there_has_not_forgotten_it(tmp_path, monkeypatch):
    async with open_room(tmp_path) as room:
        await join(room, "n-1")
        stored, told, apply = asyncio.Event(), asyncio.Event(), room.orch.store.apply

        async def apply_slowly(change):
            seqs = await apply(change)
            stored.set()
            await told.wait()
            return seqs

        monkeypatch.setattr(room.orch.store, "apply", apply_slowly)
        async with asyncio.TaskGroup() as group:
            submission = group.create_task(room.submit())
            await stored.wait()
            on_gone(room.orch, "n-1")
            await join(room, "n-1")
            told.set()
        (placed,) = await room.orch.store.list_executions(submission.result(), 1)
        assert (placed.node_id, placed.is_live, room.orch.placing) == ("n-1", True, set())


async def test_what_a_node_has_no_record_of_is_failed_and_cancelled_there_all_the_same(tmp_path):
    """The question may have reached the node after it told what it has."""
    async with open_room(tmp_path) as room:
        await join(room, "n-1")
        job_id = await room.submit()
        (placed,) = await room.orch.store.list_executions(job_id, 1)
        room.orch.outbox.abandon("n-1")
        on_gone(room.orch, "n-1")
        await join(room, "n-1")
        failed = next(e for e in await room.orch.store.list_executions(job_id, 1) if e.id == placed.id)
        (sent, *_) = room.orch.outbox.lane("n-1").unsettled()
        assert (failed.is_live, sent.type, placed.id.encode() in sent.body) == (False, "CancelExecution", True)
