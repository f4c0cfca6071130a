"""The messages that wait for their nodes: one lane per node, open while the node is connected.

The rows of the outbox are mirrored here, so that sending needs no read. How lanes work is told in `lib.outbox`.
"""

from collections.abc import Iterator

from bacalhau.lib.aio import Crew
from bacalhau.lib.outbox import Lane, Letter, Role, Send, Settled
from bacalhau.lib.wire import Model, always, decode
from bacalhau.ports.store import PendingMessage

_ROLES = {
    "AskForBid": Role.BEGINS,
    "PublishOutputs": Role.BEGINS,
    "CancelExecution": Role.ENDS,
    "BidRejected": Role.ENDS,
}


class _ExecutionId(Model):
    id: str = always(factory=str)


class _Subject(Model):
    """The part of a message's body that names its execution."""

    execution: _ExecutionId = always(factory=_ExecutionId)
    execution_id: str = always(factory=str)


class Outbox:
    """The lanes of all nodes. `settled` are messages that may leave the store."""

    def __init__(self) -> None:
        self.settled: Settled[PendingMessage] = Settled()
        self._lanes: dict[str, Lane[PendingMessage]] = {}
        self._sending: tuple[Crew, Send[PendingMessage]] | None = None

    def begin(self, crew: Crew, send: Send[PendingMessage]) -> None:
        """Start to send to connected nodes."""
        self._sending = (crew, send)
        for lane in self._lanes.values():
            lane.begin(crew, send)

    def lane(self, node_id: str) -> Lane[PendingMessage]:
        """Find the lane of a node, or make it."""
        found = self._lanes.get(node_id)
        if found is None:
            found = self._lanes[node_id] = Lane(self.settled)
            if self._sending:
                found.begin(*self._sending)
        return found

    def push(self, message: PendingMessage, *, was_tried: bool = False) -> str:
        """Queue a message. `was_tried`: an earlier process may have sent it already.

        Return the id of the execution that the message ends if its node never heard of it, else "".
        """
        subject = decode(message.body, _Subject)
        key = subject.execution.id or subject.execution_id
        letter = Letter(message.seq, key, message, _ROLES.get(message.type, Role.CONTINUES))
        return key if self.lane(message.node_id).put(letter, was_tried=was_tried) else ""

    def open(self, node_id: str) -> None:
        """Send what waits for a node that has connected."""
        self.lane(node_id).open()

    def close(self, node_id: str) -> None:
        """Keep what waits for a node that has left."""
        if lane := self._lanes.get(node_id):
            lane.close()

    def is_undelivered(self, node_id: str, execution_id: str) -> bool:
        """Tell whether a node left before it acknowledged the start of an execution."""
        lane = self._lanes.get(node_id)
        return lane is not None and not lane.is_open and lane.begins(execution_id)

    def starts(self, node_id: str) -> set[str]:
        """Find the executions whose start the node has not acknowledged."""
        return {letter.key for letter in self.lane(node_id).letters() if letter.role is Role.BEGINS}

    def forget(self, node_id: str) -> None:
        """Drop what waits for a node that does not exist any more."""
        if lane := self._lanes.pop(node_id, None):
            lane.close()
            lane.clear()

    def abandon(self, node_id: str) -> int:
        """Give up all messages for a node; return how many they were."""
        return self.lane(node_id).abandon()

    def names(self) -> list[str]:
        """List the nodes that have a lane."""
        return list(self._lanes)

    @property
    def waiting(self) -> int:
        """The number of messages that wait."""
        return sum(lane.waiting for lane in self._lanes.values())

    def unsent(self) -> Iterator[tuple[str, int]]:
        """Count the messages that wait, by node."""
        for node_id, lane in self._lanes.items():
            yield node_id, lane.waiting
