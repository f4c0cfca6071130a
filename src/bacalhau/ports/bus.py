"""Messages between orchestrator and nodes, whoever carries them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model


class Delivery(NamedTuple):
    """One received message. `node_id` is the sending node's; `seq` the sender's sequence number, 0 where it
    has none.
    """

    node_id: str
    type: str
    message: Model
    seq: int = 0


Handler = Callable[[Delivery], Awaitable[None]]
"""Returns when the message is durable: only then is it acknowledged.

Raising leaves it unacknowledged, to be sent again.
"""

RequestHandler = Callable[[Delivery], Awaitable[Model]]
"""Answers a control request; a BacalhauError becomes a BacError reply."""


async def refuse_request(delivery: Delivery) -> Model:
    """The RequestHandler of those who answer nothing."""
    raise BadRequest(f"a node does not answer {delivery.type}")


class OrchestratorBus(Protocol):
    """The orchestrator's end."""

    @property
    def trouble(self) -> str:
        """The reason why there is no connection to the message server; "" while there is one."""
        ...

    async def send(self, node_id: str, type: str, body: bytes, seq: int) -> None:
        """Deliver an encoded payload to a node and wait for its acknowledgement.

        Raises Unavailable when none comes, BadRequest when none ever will: it is too large, or rejected for good.
        """
        ...

    async def disconnect(self, node_id: str) -> None:
        """Close the node's connections, where the message server is ours; it may come back under the credentials it
        then gets.
        """
        ...

    def serve(
        self, on_message: Handler, on_request: RequestHandler, on_gone: Callable[[str], None]
    ) -> AbstractAsyncContextManager[None]:
        """Receive from all nodes while the block runs: `out.msgs`, then `out.ctrl` and `out.requests`.

        `on_gone(node_id)` is called when a node's connection is seen to close.
        """
        ...

    async def ask(self, node_id: str, message: Model, seconds: float = 10) -> Model:
        """Ask a node of our make. Raises Unavailable when it does not answer; BacError replies are raised."""
        ...

    def stream_logs(
        self, node_id: str, execution_id: str, *, tail: bool, follow: bool
    ) -> AsyncIterator[tuple[int, str]]:
        """(1 stdout | 2 stderr, text) until the end. Raises NotFound or Unavailable."""
        ...


LogSource = Callable[[str, bool, bool], AsyncIterator[tuple[int, str]]]
"""(execution id, tail, follow) → (1 stdout | 2 stderr, text)."""


class NodeBus(Protocol):
    """A node's end. The connection is made and remade underneath; `connected` waits for it."""

    @property
    def trouble(self) -> str:
        """The reason why there is no connection; "" while there is one."""
        ...

    async def send(self, type: str, message: Model, seq: int) -> None:
        """Deliver a message to the orchestrator and wait for its acknowledgement.

        Raises Unavailable when none comes, BadRequest when none ever will: it is too large, or rejected for good.
        """
        ...

    async def request(self, message: Model, *, control: bool = True, seconds: float = 10) -> Model:
        """Ask the orchestrator (`out.ctrl`, or `out.requests` when not `control`); BacError replies are raised."""
        ...

    async def tell(self, message: Model) -> None:
        """Send without acknowledgement (`out.progress`): progress that may be lost."""
        ...

    def serve(
        self,
        on_message: Handler,
        logs: LogSource,
        on_connected: Callable[[], Awaitable[None]],
        on_request: RequestHandler = refuse_request,
    ) -> AbstractAsyncContextManager[None]:
        """Receive `in.msgs`, log requests and the orchestrator's questions while the block runs.

        `on_connected` runs after each (re)connect.
        """
        ...
