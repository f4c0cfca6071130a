"""What waits for a node, and what the node has never heard of."""

import asyncio

import pytest

from bacalhau.lib.aio import Signal, crew
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import AskForBid, CancelExecution
from bacalhau.orchestrator.state.outgoing import Lanes
from bacalhau.ports.store import PendingMessage
from tests.unit.orchestrator.make import make_execution

pytestmark = pytest.mark.anyio


def ask(seq, number):
    return PendingMessage(seq, "n-1", "AskForBid", encode(AskForBid(execution=make_execution(number))))


def undelivered(lanes):
    return [number for number in range(1, 9) if lanes.is_undelivered("n-1", f"e-{number}")]


async def test_what_a_node_was_not_told_before_it_went_is_known_until_it_is_back():
    lanes, tried = Lanes(), Signal()

    async def send(message):
        """The first one is acknowledged, and then nothing more is heard of the node."""
        tried.fire()
        return message.seq == 1 or await asyncio.Event().wait()

    async with crew() as senders:
        lanes.begin(senders, send)
        lanes.open("n-1")
        for number in (1, 2, 3):
            lanes.push(ask(number, number))
        assert undelivered(lanes) == []
        while len(lanes.lane("n-1").unacknowledged()) > 2:
            assert await tried.wait(10)
        lanes.close("n-1")
        assert undelivered(lanes) == [2, 3]
        lanes.push(ask(4, 4))
        lanes.push(PendingMessage(5, "n-1", "CancelExecution", encode(CancelExecution(execution_id="e-5"))))
        assert undelivered(lanes) == [2, 3, 4]
        lanes.open("n-1")
        assert undelivered(lanes) == []


def test_what_is_abandoned_is_sent_no_more_and_leaves_the_outbox():
    lanes = Lanes()
    lanes.push(ask(1, 1))
    lanes.push(ask(2, 2))
    assert (lanes.abandon("n-1"), lanes.abandon("n-1")) == (2, 0)
    assert lanes.acknowledged == [1, 2] and lanes.lane("n-1").unacknowledged() == []


def test_of_a_node_that_is_gone_for_good_nothing_is_left():
    lanes = Lanes()
    lanes.open("n-1")
    lanes.close("n-1")
    lanes.push(ask(1, 1))
    lanes.forget("n-1")
    lanes.close("n-1")
    assert lanes.names() == [] and not lanes.is_undelivered("n-1", "e-1")
