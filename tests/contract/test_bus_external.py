"""A message server that somebody else runs: the same messages, without the knowledge of who is connected."""

from collections.abc import AsyncIterator

import pytest

from bacalhau.bus.orchestrator import orchestrator_bus
from bacalhau.bus.server import Access
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import CancelExecution, HeartbeatRequest, HeartbeatResponse, RunResult
from tests.support.nats import Ends, plain_server, serving_node


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with plain_server() as found:
        yield found


async def test_messages_pass_and_a_node_that_left_is_not_reported(url: str) -> None:
    up = Ends()
    up.answer = HeartbeatResponse(last_compute_seq_num=3)
    async with orchestrator_bus(url, Access()) as bus, bus.serve(up.on_message, up.on_request, up.on_gone):
        async with serving_node(url, "n-1", "secret") as (node, down):
            assert await node.request(HeartbeatRequest(node_id="n-1")) == up.answer
            await node.send("RunResult", RunResult(execution_id="e-1"), 1)
            await bus.send("n-1", "CancelExecution", encode(CancelExecution(execution_id="e-1")), 1)
            await bus.disconnect("n-1")
            assert await node.request(HeartbeatRequest(node_id="n-1")) == up.answer
            assert [d.type for d in down.got] == ["CancelExecution"]
        async with serving_node(url, "n-2", ""):
            assert up.gone == []
