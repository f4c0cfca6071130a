"""The bus in memory behaves as its ports say, and complains about messages nobody read."""

import pytest

from bacalhau.bus.local import local_bus
from bacalhau.lib.errors import Conflict, NotFound, Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import BidAccepted, BidResult, HeartbeatRequest, HeartbeatResponse, Progress


class Ends:
    """Handlers of both ends that note what they got."""

    def __init__(self) -> None:
        self.got: list = []
        self.gone: list[str] = []
        self.greeted = 0
        self.failing: Exception | None = None

    async def on_message(self, delivery) -> None:
        if self.failing:
            raise self.failing
        self.got.append(delivery)

    async def on_request(self, delivery) -> HeartbeatResponse:
        if self.failing:
            raise self.failing
        return HeartbeatResponse(last_compute_seq_num=7)

    async def on_connected(self) -> None:
        self.greeted += 1

    async def logs(self, execution_id, tail, follow):
        yield 1, f"{execution_id} {tail} {follow}"


async def test_both_ways():
    up, down = Ends(), Ends()
    async with local_bus() as bus:
        node = bus.node("n")
        async with bus.orchestrator.serve(up.on_message, up.on_request, up.gone.append):
            async with node.serve(down.on_message, down.logs, down.on_connected):
                await node.send("BidResult", BidResult(execution_id="e"), 3)
                await bus.orchestrator.send("n", "BidAccepted", encode(BidAccepted(execution_id="e")), 4)
                assert up.got == [("n", "BidResult", BidResult(execution_id="e"), 3)]
                assert down.got == [("n", "BidAccepted", BidAccepted(execution_id="e"), 4)]
                assert (await node.request(HeartbeatRequest(node_id="n"))).last_compute_seq_num == 7
                assert [found async for found in bus.orchestrator.stream_logs("n", "e", tail=True, follow=False)] == [
                    (1, "e True False")
                ]
                await node.tell(Progress(execution_id="e"))
                assert len(bus.progress) == 1
            assert up.gone == ["n"]
    assert down.greeted == 1


async def test_nobody_there():
    async with local_bus() as bus:
        with pytest.raises(Unavailable):
            await bus.orchestrator.send("n", "BidAccepted", encode(BidAccepted()), 1)
        with pytest.raises(Unavailable):
            await bus.node("n").send("BidResult", BidResult(), 1)
        with pytest.raises(Unavailable):
            await bus.node("n").request(HeartbeatRequest())
        with pytest.raises(Unavailable):
            await anext(bus.orchestrator.stream_logs("n", "e", tail=False, follow=False))


async def test_a_refused_message_is_not_acknowledged():
    up = Ends()
    up.failing = Conflict("someone was faster")
    async with local_bus() as bus, bus.orchestrator.serve(up.on_message, up.on_request, up.gone.append):
        with pytest.raises(Unavailable, match="faster"):
            await bus.node("n").send("BidResult", BidResult(), 1)
        up.failing = NotFound("no such node")
        with pytest.raises(NotFound):
            await bus.node("n").request(HeartbeatRequest())


async def test_a_crash_ends_the_bus_as_itself():
    up = Ends()
    up.failing = ZeroDivisionError("oops")
    with pytest.raises(ZeroDivisionError):
        async with local_bus() as bus, bus.orchestrator.serve(up.on_message, up.on_request, up.gone.append):
            await bus.node("n").send("BidResult", BidResult(), 1)


async def test_mailbox_is_read_in_order():
    async with local_bus() as bus:
        box = bus.mailbox("n")
        await bus.orchestrator.send("n", "BidAccepted", encode(BidAccepted(execution_id="e")), 1)
        with pytest.raises(AssertionError, match="is BidAccepted"):
            box.take("AskForBid")
        assert box.take("BidAccepted").seq == 1
        with pytest.raises(AssertionError, match="nothing is unread"):
            box.take("BidAccepted")


async def test_unread_messages_fail_the_test():
    with pytest.raises(AssertionError, match="nobody read"):
        async with local_bus() as bus:
            bus.mailbox("n")
            await bus.orchestrator.send("n", "BidAccepted", encode(BidAccepted()), 1)
