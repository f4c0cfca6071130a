"""What every bus must do, asked of the one in memory, of NATS, and of NATS with the shortcut inside a process."""

from contextlib import asynccontextmanager

import pytest

from bacalhau.bus.local import local_bus
from bacalhau.bus.shortcut import Shortcut
from bacalhau.lib.errors import Conflict, NotFound, Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.job.job import InputSource
from bacalhau.models.wire.messages import (
    BidAccepted,
    BidResult,
    HeartbeatRequest,
    HeartbeatResponse,
    InputAnswer,
    LogEnd,
    LogPart,
    Progress,
    PutLogsRequest,
    PutLogsResponse,
    ResolveInputsRequest,
    ResolveInputsResponse,
)
from tests.support.nats import Ends, cluster


@asynccontextmanager
async def local(folder):
    up, down = Ends(), Ends()
    async with local_bus() as bus, bus.orchestrator.serve(up.on_message, up.on_request, up.on_gone):
        node = bus.node("n")
        async with node.serve(down.on_message, down.logs, down.on_connected, down.on_request):
            await down.until(lambda: down.greeted)
            yield bus.orchestrator, up, node, down


@asynccontextmanager
async def nats(folder):
    async with cluster(folder, ack_wait=0.5) as made:
        node, down = await made.node("n")
        yield made.orchestrator, made.up, node, down


@asynccontextmanager
async def shortcut(folder):
    """A node in the process of its orchestrator."""
    async with cluster(folder, ack_wait=0.5, shortcut=Shortcut()) as made:
        node, down = await made.node("n")
        yield made.orchestrator, made.up, node, down


@pytest.fixture(params=[local, nats, shortcut], ids=["local", "nats", "shortcut"])
def bus(request, tmp_path):
    return request.param(tmp_path)


async def test_messages_go_both_ways(bus):
    async with bus as (orchestrator, up, node, down):
        await node.send("BidResult", BidResult(execution_id="e", accepted=True), 3)
        await orchestrator.send("n", "BidAccepted", encode(BidAccepted(execution_id="e")), 4)
        assert up.got == [("n", "BidResult", BidResult(execution_id="e", accepted=True), 3)]
        assert down.got == [("n", "BidAccepted", BidAccepted(execution_id="e"), 4)]


async def test_one_execution_keeps_its_order(bus):
    async with bus as (_, up, node, _down):
        for number in range(1, 30):
            await node.send("BidResult", BidResult(execution_id="e"), number)
        assert [delivery.seq for delivery in up.got] == list(range(1, 30))


async def test_the_largest_message_of_logs_crosses(bus):
    async with bus as (_, up, node, _down):
        up.answer = PutLogsResponse(ends=(LogEnd(execution_id="e", stdout=512 * 1024),), limit=5)
        sent = PutLogsRequest(
            parts=(LogPart(execution_id="e", stream=1, offset=0, data=bytes(range(256)) * 2048),), ended=("e",) * 1000
        )
        assert await node.request(sent, control=False) == up.answer
        assert up.got[-1].message == sent


async def test_request_and_errors(bus):
    async with bus as (_, up, node, _down):
        assert await node.request(HeartbeatRequest(node_id="n")) == HeartbeatResponse(last_compute_seq_num=7)
        assert await node.request(HeartbeatRequest(node_id="n"), control=False) == HeartbeatResponse(
            last_compute_seq_num=7
        )

        def fail(delivery):
            raise NotFound("no such node", hint="shake hands")

        up.failing = fail
        with pytest.raises(NotFound, match="no such node") as caught:
            await node.request(HeartbeatRequest(node_id="n"))
        assert caught.value.hint == "shake hands"


async def test_a_node_is_asked_and_its_errors_come_back(bus):
    async with bus as (orchestrator, _up, _node, down):
        question = ResolveInputsRequest(inputs=(InputSource(target="/in"),))
        down.answer = ResolveInputsResponse(inputs=(InputAnswer(target="/in", objects=3, bytes=7),))
        assert await orchestrator.ask("n", question) == down.answer
        assert (down.got[-1].node_id, down.got[-1].message) == ("n", question)

        def fail(delivery):
            raise NotFound("no such bucket")

        down.failing = fail
        with pytest.raises(NotFound, match="no such bucket"):
            await orchestrator.ask("n", question)
        with pytest.raises(Unavailable):
            await orchestrator.ask("nobody", question)


async def test_what_the_handler_refuses_is_not_acknowledged(bus):
    async with bus as (_, up, node, _down):

        def fail(delivery):
            raise Conflict("someone was faster")

        up.failing = fail
        with pytest.raises(Unavailable, match="faster"):
            await node.send("BidResult", BidResult(execution_id="e"), 1)
        assert up.got == []


async def test_nobody_there(bus):
    async with bus as (orchestrator, _, _node, _down):
        with pytest.raises(Unavailable):
            await orchestrator.send("elsewhere", "BidAccepted", encode(BidAccepted()), 1)
        with pytest.raises(Unavailable):
            await anext(orchestrator.stream_logs("elsewhere", "e", tail=False, follow=False))


async def test_logs(bus):
    async with bus as (orchestrator, _, _node, down):
        down.lines = [(1, "out\n"), (2, "error\n")] * 100
        assert [found async for found in orchestrator.stream_logs("n", "e", tail=False, follow=True)] == down.lines
        down.log_error = NotFound("no such execution")
        with pytest.raises(NotFound, match="no such execution"):
            _ = [found async for found in orchestrator.stream_logs("n", "e", tail=False, follow=True)]


async def test_progress_needs_nobody(bus):
    async with bus as (_, _up, node, _down):
        await node.tell(Progress(execution_id="e", stage="pulling"))
