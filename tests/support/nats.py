"""A real nats-server on loopback with an orchestrator's end, nodes, and handlers that note what they got."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from nats.aio.client import Client

from bacalhau.bus.node import NodeNats, node_bus
from bacalhau.bus.orchestrator import OrchestratorNats, orchestrator_bus
from bacalhau.bus.server import NatsServer, binary, nats_server
from bacalhau.bus.shortcut import Shortcut
from bacalhau.lib.aio import Signal
from bacalhau.lib.errors import Unauthorized
from bacalhau.lib.wire import Model
from bacalhau.models.wire.messages import HeartbeatResponse
from bacalhau.ports.bus import Delivery


class Ends:
    """Handlers of one end. `failing` is called first and may raise; messages wait until `release` is set."""

    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self.progress: list[Delivery] = []
        self.gone: list[str] = []
        self.aside: list[tuple[str, str, bytes]] = []
        self.greeted = 0
        self.changed = Signal()
        self.failing: Callable[[Delivery], None] = lambda delivery: None
        self.entered: list[Delivery] = []
        self.release = asyncio.Event()
        self.release.set()
        self.answer: Model = HeartbeatResponse(last_compute_seq_num=7)
        self.lines: list[tuple[int, str]] = []
        self.log_error: Exception | None = None

    async def until(self, true: Callable[[], object], seconds: float = 10) -> None:
        """Wait until something noted here makes `true` true."""
        while not true():
            if not await self.changed.wait(seconds):
                raise AssertionError("it did not happen in time")

    async def on_message(self, delivery: Delivery) -> None:
        self.failing(delivery)
        self.entered.append(delivery)
        self.changed.fire()
        await self.release.wait()
        self.got.append(delivery)
        self.changed.fire()

    async def on_request(self, delivery: Delivery) -> Model:
        self.failing(delivery)
        self.got.append(delivery)
        self.changed.fire()
        return self.answer

    def on_progress(self, delivery: Delivery) -> None:
        self.progress.append(delivery)
        self.changed.fire()

    def on_gone(self, node_id: str) -> None:
        self.gone.append(node_id)
        self.changed.fire()

    async def set_aside(self, source: str, reason: str, data: bytes) -> None:
        self.aside.append((source, reason, data))
        self.changed.fire()

    async def on_connected(self) -> None:
        self.greeted += 1
        self.changed.fire()

    async def logs(self, execution_id: str, tail: bool, follow: bool) -> AsyncIterator[tuple[int, str]]:
        for found in self.lines:
            yield found
        if self.log_error:
            raise self.log_error


class Cluster:
    """Use through `cluster`."""

    def __init__(
        self, server: NatsServer, orchestrator: OrchestratorNats, shortcut: Shortcut | None, stack: AsyncExitStack
    ) -> None:
        self.server = server
        self.orchestrator = orchestrator
        self.up = Ends()
        self.secrets: dict[str, str] = {}
        self._shortcut = shortcut
        self._stack = stack

    async def node(self, node_id: str, secret: str = "secret") -> tuple[NodeNats, Ends]:
        """A node that serves; back when it has greeted."""
        serving = serving_node(self.server.url, node_id, secret, self.orchestrator.ack_wait, self._shortcut)
        return await self._stack.enter_async_context(serving)

    async def stranger(self, **shown: str) -> Client:
        """A bare NATS connection; its errors collect in `client.errors`."""
        client = Client()
        client.errors = []  # type: ignore[attr-defined]

        async def note(error: Exception) -> None:
            client.errors.append(str(error))  # type: ignore[attr-defined]

        await client.connect(self.server.url, allow_reconnect=False, error_cb=note, **shown)  # type: ignore[arg-type]
        self._stack.push_async_callback(client.close)
        return client


@asynccontextmanager
async def serving_node(
    url: str, node_id: str, secret: str, ack_wait: float = 30, shortcut: Shortcut | None = None
) -> AsyncIterator[tuple[NodeNats, Ends]]:
    ends = Ends()
    async with node_bus(url, node_id, secret, shortcut=shortcut) as bus:
        bus.set_aside, bus.ack_wait = ends.set_aside, ack_wait
        async with bus.serve(ends.on_message, ends.logs, ends.on_connected, ends.on_request):
            await ends.until(lambda: ends.greeted)
            yield bus, ends


@asynccontextmanager
async def cluster(
    folder: Path,
    *,
    ack_wait: float = 30,
    pending: tuple[str, ...] = (),
    shortcut: Shortcut | None = None,
    **secrets: str,
) -> AsyncIterator[Cluster]:
    """`secrets` are what nodes must show; nodes that are not among them are let in as they come.

    `pending` are no members yet. Nodes use the `shortcut`.
    """

    async def authorize(node_id: str, secret: str, token: str) -> bool:
        if secrets.get(node_id, secret) != secret:
            raise Unauthorized("wrong secret")
        return node_id not in pending

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(nats_server(folder, "127.0.0.1", 0))
        bus = await stack.enter_async_context(orchestrator_bus(server.url, server.access, authorize, shortcut=shortcut))
        bus.ack_wait = ack_wait
        nodes = AsyncExitStack()
        made = Cluster(server, bus, shortcut, nodes)
        made.secrets = secrets
        bus.set_aside, bus.on_progress = made.up.set_aside, made.up.on_progress
        await stack.enter_async_context(bus.serve(made.up.on_message, made.up.on_request, made.up.on_gone))
        await stack.enter_async_context(nodes)
        yield made


@asynccontextmanager
async def plain_server() -> AsyncIterator[str]:
    """Run a message server that is not ours: it asks for no names and tells nobody who is connected. Yields its URL."""
    process = await asyncio.create_subprocess_exec(
        binary(), "-a", "127.0.0.1", "-p", "-1", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    try:
        async with asyncio.timeout(20):
            port = ""
            while b"Server is ready" not in (line := await process.stderr.readline()):
                found = re.search(rb"client connections on 127\.0\.0\.1:(\d+)", line)
                port = found[1].decode() if found else port
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def settle(client: Client) -> None:
    """Back when the server has acted on everything; the first ping may overtake what is still buffered."""
    await client.flush()
    await client.flush()


async def kill_server(folder: Path) -> int:
    """End the server as the kernel would, at once; returns the process id it had."""
    pid = int((folder / "nats-server.pid").read_text().split()[0])
    process = await asyncio.create_subprocess_exec("kill", "-9", str(pid))
    await process.wait()
    return pid
