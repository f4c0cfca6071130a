"""What waits for a node, and what the node has never heard of."""

from bacalhau.lib.wire import encode
from bacalhau.models.messages import AskForBid, CancelExecution
from bacalhau.orchestrator.lanes import Lanes
from bacalhau.ports.store import PendingMessage
from tests.unit.orchestrator.make import make_execution


def ask(seq, number):
    return PendingMessage(seq, "n-1", "AskForBid", encode(AskForBid(execution=make_execution(number))))


def undelivered(lanes):
    return [number for number in range(1, 9) if lanes.is_undelivered("n-1", f"e-{number}")]


def test_what_a_node_was_not_told_before_it_went_is_known_until_it_is_back():
    lanes = Lanes()
    lanes.open("n-1")
    for number in (1, 2, 3):
        lanes.push(ask(number, number))
    assert undelivered(lanes) == []
    lane = lanes.lane("n-1")
    lane.settle(lane.take(2)[1:])  # the first one is acknowledged
    lane.take(1)
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
