"""Acknowledged messages a second over a real nats-server: one orchestrator and one node in this process.

Run with `python -m benchmarks.bus`.
"""

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bacalhau.bus.node import NodeNats, node_bus
from bacalhau.bus.orchestrator import OrchestratorNats, orchestrator_bus
from bacalhau.bus.server import nats_server
from bacalhau.lib.aio import together
from bacalhau.lib.wire import Model, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.job import Job
from bacalhau.models.wire.messages import AskForBid, BidResult
from bacalhau.ports.bus import Delivery, Handler

MESSAGES, SENDERS = 20_000, 200


async def allow(node_id: str, secret: str, token: str) -> None:
    pass


async def take(delivery: Delivery) -> None:
    pass


async def refuse(delivery: Delivery) -> Model:
    raise NotImplementedError


async def no_logs(execution_id: str, tail: bool, follow: bool) -> AsyncIterator[tuple[int, str]]:
    for text in ("line\n",) * 20_000:
        yield 1, text


async def nothing() -> None:
    pass


def ignore(node_id: str) -> None:
    pass


async def measure(name: str, send: Handler) -> None:
    numbers = itertools.count(1)
    delays: list[float] = []

    async def sender() -> None:
        while (number := next(numbers)) <= MESSAGES:
            start = time.perf_counter()
            await send(
                Delivery("n", "", BidResult(execution_id=f"e-{number}", job_type="batch", accepted=True), number)
            )
            delays.append(time.perf_counter() - start)

    start = time.perf_counter()
    await together(*(sender() for _ in range(SENDERS)))
    took = time.perf_counter() - start
    delays.sort()
    print(
        f"{name}: {MESSAGES / took:,.0f} acknowledged messages/s with {SENDERS} senders, median"
        f" {delays[len(delays) // 2] * 1000:.1f} ms"
    )


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            nats_server(Path(folder), "127.0.0.1", 0) as server,
            orchestrator_bus(server.url, server.access, allow) as orchestrator,
            node_bus(server.url, "n", "secret") as node,
            orchestrator.serve(take, refuse, ignore),
            node.serve(take, no_logs, nothing),
        ):
            await node.connected(10)
            await run(orchestrator, node)


async def run(orchestrator: OrchestratorNats, node: NodeNats) -> None:
    async def up(d: Delivery) -> None:
        await node.send("BidResult", d.message, d.seq)

    async def down(d: Delivery) -> None:
        body = encode(AskForBid(execution=Execution(id=f"e-{d.seq}", job=Job(id="j", name="job"))))
        await orchestrator.send("n", "AskForBid", body, d.seq)

    await measure("node to orchestrator", up)
    await measure("orchestrator to node", down)
    start, lines = time.perf_counter(), 0
    async for _ in orchestrator.stream_logs("n", "e", tail=False, follow=False):
        lines += 1
    print(f"logs: {lines / (time.perf_counter() - start):,.0f} frames/s")
    start = time.perf_counter()
    for number in range(500):
        await node.send("BidResult", BidResult(execution_id="e"), number)
    print(f"one sender alone: {(time.perf_counter() - start) * 2:.2f} ms a message")


if __name__ == "__main__":
    asyncio.run(main())
