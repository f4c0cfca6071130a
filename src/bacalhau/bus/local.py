"""Both ends in memory, for tests of the rooms that use a bus: nothing is lost, everything is acknowledged, and leaving
the block complains about every message nobody read.

Messages cross as bytes, as on the wire, so that a field the wire does not carry does not arrive here either.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from bacalhau.bus.request import from_bac_error, to_bac_error
from bacalhau.bus.subject import check_node_id
from bacalhau.lib.aio import Crew, Signal, crew
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.wire import Model, decode, encode
from bacalhau.models.wire.messages import MESSAGE_NAMES, MESSAGE_TYPES
from bacalhau.ports.bus import Delivery, Handler, LogSource, RequestHandler, refuse_request


class Mailbox:
    """Stands in for a node that only listens: acknowledges everything and keeps it for `take`."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.unread: deque[Delivery] = deque()

    def take(self, type: str) -> Delivery:
        """The oldest unread message, which must be of this type."""
        if not self.unread:
            raise AssertionError(f"no {type} for {self.node_id}: nothing is unread")
        if self.unread[0].type != type:
            raise AssertionError(f"the next message for {self.node_id} is {self.unread[0].type}, not {type}")
        return self.unread.popleft()

    async def keep(self, delivery: Delivery) -> None:
        self.unread.append(delivery)


class _Receiver(NamedTuple):
    """A handler of messages and the crew that it works under: handling ends with its receiver."""

    on_message: Handler
    working: Crew


class _OrchestratorSide(NamedTuple):
    receiver: _Receiver
    on_request: RequestHandler
    on_gone: Callable[[str], None]


class LocalBus:
    """Use through `local_bus`."""

    def __init__(self, working: Crew) -> None:
        self.orchestrator = LocalOrchestrator(self)
        self.to_nodes: dict[str, _Receiver] = {}
        self.logs: dict[str, LogSource] = {}
        self.questions: dict[str, RequestHandler] = {}
        self.serving: _OrchestratorSide | None = None
        self.progress: deque[Delivery] = deque()
        self.came_up = Signal()
        self._working = working
        self._mailboxes: dict[str, Mailbox] = {}
        self._under_way = 0
        self._settled = Signal()

    def node(self, node_id: str) -> "LocalNode":
        """The end of a node; it is connected as soon as the orchestrator serves."""
        return LocalNode(self, check_node_id(node_id))

    def mailbox(self, node_id: str) -> Mailbox:
        """Put a mailbox in a node's place."""
        made = self._mailboxes[node_id] = Mailbox(node_id)
        self.to_nodes[node_id] = _Receiver(made.keep, self._working)
        return made

    def drop(self, node_id: str) -> None:
        """Cut a node off, as if its connection had closed."""
        self.to_nodes.pop(node_id, None)
        if self.serving is not None:
            self.serving.on_gone(node_id)

    async def drain(self, seconds: float = 10) -> None:
        """Wait until no message is on its way."""
        while self._under_way:
            if not await self._settled.wait(seconds):
                raise AssertionError(f"{self._under_way} messages are still being handled after {seconds} s")

    async def carry(self, receiver: _Receiver | None, to: str, delivery: Delivery) -> None:
        """Hand over and wait until the handler has returned; its failure, or its end, leaves the message
        unacknowledged.
        """
        if receiver is None:
            raise Unavailable(f"nobody listens at {to}")
        self._under_way += 1
        try:
            # A task of its own: the receiver is another program, so cancelling the sender does not stop it.
            handling = receiver.working.start(_handled(receiver.on_message, delivery))
            await asyncio.wait([handling])
        finally:
            self._under_way -= 1
            self._settled.fire()
        if handling.cancelled():
            raise Unavailable(f"nobody listens at {to} any more")
        if error := handling.result():
            raise Unavailable(error.message) from error

    def check_read(self) -> None:
        """Raise AssertionError when a mailbox still holds messages."""
        unread = {
            box.node_id: [delivery.type for delivery in box.unread] for box in self._mailboxes.values() if box.unread
        }
        if unread:
            raise AssertionError(f"messages nobody read: {unread}")


class LocalOrchestrator:
    """`ports.bus.OrchestratorBus`; progress collects in `LocalBus.progress`."""

    def __init__(self, bus: LocalBus) -> None:
        self._bus = bus

    async def send(self, node_id: str, type: str, body: bytes, seq: int) -> None:
        delivery = Delivery(check_node_id(node_id), type, decode(body, MESSAGE_TYPES[type]), seq)
        await self._bus.carry(self._bus.to_nodes.get(node_id), f"node {node_id}", delivery)

    @asynccontextmanager
    async def serve(
        self, on_message: Handler, on_request: RequestHandler, on_gone: Callable[[str], None]
    ) -> AsyncIterator[None]:
        async with crew() as working:
            self._bus.serving = _OrchestratorSide(_Receiver(on_message, working), on_request, on_gone)
            self._bus.came_up.fire()
            try:
                yield
            finally:
                self._bus.serving = None

    async def disconnect(self, node_id: str) -> None:
        self._bus.drop(node_id)

    async def ask(self, node_id: str, message: Model, seconds: float = 10) -> Model:
        answer = self._bus.questions.get(node_id)
        if answer is None:
            raise Unavailable(f"node {node_id} is not connected")
        return await _answered(answer, Delivery(node_id, MESSAGE_NAMES[type(message)], _crossed(message)), seconds)

    async def stream_logs(
        self, node_id: str, execution_id: str, *, tail: bool, follow: bool
    ) -> AsyncIterator[tuple[int, str]]:
        source = self._bus.logs.get(node_id)
        if source is None:
            raise Unavailable(f"node {node_id} is not connected")
        async for found in source(execution_id, tail, follow):
            yield found


class LocalNode:
    """`ports.bus.NodeBus`."""

    def __init__(self, bus: LocalBus, node_id: str) -> None:
        self._bus = bus
        self._node_id = node_id

    async def send(self, type: str, message: Model, seq: int) -> None:
        serving = self._bus.serving
        await self._bus.carry(
            serving.receiver if serving else None, "the orchestrator", self._delivery(type, message, seq)
        )

    async def request(self, message: Model, *, control: bool = True, seconds: float = 10) -> Model:
        serving = self._bus.serving
        if serving is None:
            raise Unavailable("the orchestrator is not connected")
        return await _answered(serving.on_request, self._delivery(MESSAGE_NAMES[type(message)], message), seconds)

    async def tell(self, message: Model) -> None:
        self._bus.progress.append(self._delivery(MESSAGE_NAMES[type(message)], message))

    @asynccontextmanager
    async def serve(
        self,
        on_message: Handler,
        logs: LogSource,
        on_connected: Callable[[], Awaitable[None]],
        on_request: RequestHandler = refuse_request,
    ) -> AsyncIterator[None]:
        async with crew() as working:
            self._bus.questions[self._node_id] = on_request
            self._bus.to_nodes[self._node_id] = _Receiver(on_message, working)
            self._bus.logs[self._node_id] = logs
            working.start(self._greet(on_connected))
            try:
                yield
            finally:
                self._bus.logs.pop(self._node_id, None)
                self._bus.questions.pop(self._node_id, None)
                self._bus.drop(self._node_id)

    async def _greet(self, on_connected: Callable[[], Awaitable[None]]) -> None:
        while self._bus.serving is None:
            await self._bus.came_up.wait(60)
        await on_connected()

    def _delivery(self, type: str, message: Model, seq: int = 0) -> Delivery:
        return Delivery(self._node_id, type, _crossed(message), seq)


async def _handled(handler: Handler, delivery: Delivery) -> BacalhauError | None:
    """An unexpected error is not caught: it ends the bus, and so the test, as itself."""
    try:
        await handler(delivery)
    except BacalhauError as e:
        return e
    return None


async def _answered(handler: RequestHandler, delivery: Delivery, seconds: float) -> Model:
    try:
        async with asyncio.timeout(seconds):
            return _crossed(await handler(delivery))
    except BacalhauError as e:
        raise from_bac_error(to_bac_error(e)) from e
    except TimeoutError as e:
        raise Unavailable(f"no answer within {seconds:.0f} s") from e


def _crossed(message: Model) -> Model:
    return decode(encode(message), type(message))


@asynccontextmanager
async def local_bus() -> AsyncIterator[LocalBus]:
    """A bus in memory. Leaving the block without an error checks that every mailbox was read."""
    async with crew() as working:
        bus = LocalBus(working)
        yield bus
        await bus.drain()
        bus.check_read()
