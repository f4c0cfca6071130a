"""Messages that wait for their node, in order, mirrored in memory so that sending needs no read."""

from collections import deque

from bacalhau.lib.aio import Signal
from bacalhau.ports.store import PendingMessage


class Lane:
    """The messages of one node. `is_open` while the node is connected."""

    def __init__(self) -> None:
        self.waiting: deque[PendingMessage] = deque()
        self.in_flight: list[PendingMessage] = []
        self.is_open = False
        self.signal = Signal()

    def take(self, limit: int) -> list[PendingMessage]:
        self.in_flight = [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]
        return self.in_flight

    def settle(self, unsent: list[PendingMessage]) -> None:
        """What was taken has been tried; unsent messages return to the front, in order."""
        self.in_flight = []
        self.waiting.extendleft(reversed(unsent))

    def unacknowledged(self) -> list[PendingMessage]:
        return [*self.in_flight, *self.waiting]


class Lanes:
    """`acknowledged`: numbers of messages that may leave the outbox."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self._lanes: dict[str, Lane] = {}
        self.opened = Signal()

    def lane(self, node_id: str) -> Lane:
        found = self._lanes.get(node_id)
        if found is None:
            found = self._lanes[node_id] = Lane()
            self.opened.fire()
        return found

    def push(self, message: PendingMessage) -> None:
        lane = self.lane(message.node_id)
        lane.waiting.append(message)
        lane.signal.fire()

    def open(self, node_id: str) -> None:
        lane = self.lane(node_id)
        lane.is_open = True
        lane.signal.fire()

    def close(self, node_id: str) -> None:
        self.lane(node_id).is_open = False

    def clear(self, node_id: str) -> None:
        """What waits for the node is no longer wanted."""
        self.lane(node_id).waiting.clear()

    def names(self) -> list[str]:
        return list(self._lanes)
