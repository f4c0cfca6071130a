"""What waits for a node, and what the node has never heard of."""

import asyncio

import pytest

from bacalhau.lib.aio import Signal, crew
from bacalhau.lib.outbox import Verdict
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import AskForBid, CancelExecution
from bacalhau.orchestrator.state.outbox import Outbox
from bacalhau.ports.store import PendingMessage
from tests.unit.orchestrator.make import make_execution

pytestmark = pytest.mark.anyio


def ask(seq, number):
    return PendingMessage(seq, "n-1", "AskForBid", encode(AskForBid(execution=make_execution(number))))


def cancel(seq, number):
    return PendingMessage(seq, "n-1", "CancelExecution", encode(CancelExecution(execution_id=f"e-{number}")))


def undelivered(outbox):
    return [number for number in range(1, 9) if outbox.is_undelivered("n-1", f"e-{number}")]


async def test_what_a_node_was_not_told_before_it_went_is_known_until_it_is_back():
    outbox, tried = Outbox(), Signal()

    async def send(message):
        """The first one is acknowledged, and then nothing more is heard of the node."""
        tried.fire()
        return Verdict.TAKEN if message.seq == 1 else await asyncio.Event().wait()

    async with crew() as senders:
        outbox.begin(senders, send)
        outbox.open("n-1")
        for number in (1, 2, 3):
            outbox.push(ask(number, number))
        assert undelivered(outbox) == []
        while dict(outbox.unsent())["n-1"] > 2:
            assert await tried.wait(10)
        outbox.close("n-1")
        assert undelivered(outbox) == [2, 3]
        assert outbox.starts("n-1") == {"e-2", "e-3"}
        outbox.push(ask(4, 4))
        outbox.push(cancel(5, 5))
        assert undelivered(outbox) == [2, 3, 4]
        outbox.open("n-1")
        assert undelivered(outbox) == []


def test_what_is_cancelled_before_its_node_was_told_is_not_sent_and_says_so():
    outbox = Outbox()
    assert outbox.push(ask(1, 1)) == ""
    outbox.push(ask(2, 2), was_tried=True)
    assert [outbox.push(cancel(seq, number)) for seq, number in ((3, 1), (4, 2), (5, 3))] == ["e-1", "", ""]
    assert [message.seq for message in outbox.lane("n-1").unsettled()] == [4, 5]


def test_what_is_abandoned_is_sent_no_more_and_leaves_the_outbox():
    outbox = Outbox()
    outbox.push(ask(1, 1))
    outbox.push(ask(2, 2))
    assert (outbox.abandon("n-1"), outbox.abandon("n-1")) == (2, 0)
    assert [m.seq for m in outbox.settled.items] == [1, 2] and outbox.lane("n-1").unsettled() == []


def test_of_a_node_that_is_gone_for_good_nothing_is_left():
    outbox = Outbox()
    outbox.open("n-1")
    outbox.close("n-1")
    outbox.push(ask(1, 1))
    outbox.forget("n-1")
    outbox.close("n-1")
    assert outbox.names() == [] and not outbox.is_undelivered("n-1", "e-1")
