"""Messages that wait for their node, in order, mirrored in memory so that sending needs no read."""

from collections.abc import Awaitable, Callable, Iterable

from bacalhau.lib.aio import Crew
from bacalhau.lib.window import Window
from bacalhau.lib.wire import decode
from bacalhau.models.wire.messages import AskForBid
from bacalhau.ports.store import PendingMessage

Send = Callable[[PendingMessage], Awaitable[bool]]


class Outbox:
    """One window a node, open while the node is connected.

    `acknowledged`: numbers of messages that may leave the outbox.
    """

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self._lanes: dict[str, Window[PendingMessage]] = {}
        self._undelivered: dict[str, set[str]] = {}
        self._sending: tuple[Crew, Send] | None = None

    def begin(self, crew: Crew, send: Send) -> None:
        self._sending = (crew, send)
        for lane in self._lanes.values():
            lane.begin(crew, send)

    def lane(self, node_id: str) -> Window[PendingMessage]:
        found = self._lanes.get(node_id)
        if found is None:
            found = self._lanes[node_id] = Window()
            if self._sending:
                found.begin(*self._sending)
        return found

    def push(self, message: PendingMessage) -> None:
        lane = self.lane(message.node_id)
        lane.put(message)
        if not lane.is_open:
            self._note_undelivered(message.node_id, [message])

    def open(self, node_id: str) -> None:
        self._undelivered.pop(node_id, None)
        self.lane(node_id).open()

    def close(self, node_id: str) -> None:
        if lane := self._lanes.get(node_id):
            lane.close()
            self._note_undelivered(node_id, lane.unacknowledged())

    def is_undelivered(self, node_id: str, execution_id: str) -> bool:
        """The node is away and cannot have begun the execution: it was never told."""
        return execution_id in self._undelivered.get(node_id, ())

    def forget(self, node_id: str) -> None:
        """There is no such node any more: what waits for it is no longer wanted."""
        self._undelivered.pop(node_id, None)
        if lane := self._lanes.pop(node_id, None):
            lane.close()
            lane.clear()

    def abandon(self, node_id: str) -> int:
        """What waits for the node is not sent any more, and leaves the outbox: how much."""
        seqs = [message.seq for message in self.lane(node_id).unacknowledged()]
        self.acknowledged += seqs
        self.lane(node_id).clear()
        return len(seqs)

    def names(self) -> list[str]:
        return list(self._lanes)

    def _note_undelivered(self, node_id: str, messages: Iterable[PendingMessage]) -> None:
        asked = {decode(m.body, AskForBid).execution.id for m in messages if m.type == "AskForBid"}
        if asked:
            self._undelivered.setdefault(node_id, set()).update(asked)
