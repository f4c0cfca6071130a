"""A node that goes away in the middle of a delivery: the sender hears of it at once, and not when its patience ends."""

import asyncio
from pathlib import Path

import pytest

from bacalhau.lib.errors import Unavailable
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import CancelExecution
from tests.support.nats import cluster, serving_node


async def test_a_delivery_ends_with_the_node_that_was_to_acknowledge_it(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        staying, _ = await made.node("n-stays")
        async with serving_node(made.server.url, "n-leaves", "secret") as (_, ends):
            ends.release.clear()
            message = encode(CancelExecution(execution_id="e-1"))
            sending = asyncio.ensure_future(made.orchestrator.send("n-leaves", "CancelExecution", message, 1))
            await ends.until(lambda: ends.entered)
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable, match="left before it answered"):
                await sending
            await made.orchestrator.send("n-stays", "CancelExecution", message, 1)
        assert staying
