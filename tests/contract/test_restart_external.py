"""An orchestrator that starts again while a message server that is not its own, and the nodes on it, go on."""

import asyncio
from contextlib import AsyncExitStack

from msgspec.structs import replace

from bacalhau.app.build import compute_node
from bacalhau.app.identity import load_identity
from bacalhau.app.serve import serve
from bacalhau.client.client import AsyncClient
from bacalhau.compute.core import ComputeNode
from bacalhau.config.load import load_config
from bacalhau.lib.clock import now_ns
from bacalhau.models.node.node import ConnectionState, NodeInfo, NodeState
from bacalhau.orchestrator.nodes.handshake import load_nodes
from tests.api.room import open_room
from tests.support.nats import plain_server

GRACE, COUNT = 3, 12
# No heartbeat brings a node back in the time that a test has.
KEYS = {
    "API.Port": 0,
    "Orchestrator.NodeManager.LostGrace": f"{GRACE}s",
    "Orchestrator.NodeManager.DisconnectTimeout": "1200s",
    "Compute.Heartbeat.Interval": "600s",
    "Compute.AllocatedCapacity.CPU": "8",
}
SECOND = 1_000_000_000


def job(seconds: float) -> dict:
    task = {
        "Name": "main",
        "Engine": {"Type": "noop", "Params": {"Sleep": seconds}},
        "Resources": {"CPU": "0.1", "Memory": "1mb"},
    }
    return {"Type": "batch", "Count": COUNT, "Tasks": [task]}


async def test_what_runs_on_healthy_nodes_outlives_a_restart_of_the_orchestrator(tmp_path):
    async with plain_server() as url, AsyncExitStack() as stack:
        config = load_config([], {}, KEYS | {"DataDir": str(tmp_path / "o"), "Orchestrator.NATS.URL": url})
        nodes: list[ComputeNode] = []
        async with serve(config) as served:
            for number in range(3):
                folder = tmp_path / f"node-{number}"
                own = replace(config, data_dir=str(folder))
                node = compute_node(own, load_identity(folder), served.bus_address, None)
                nodes.append(await stack.enter_async_context(node))
            async with AsyncClient(served.api_url) as client, asyncio.timeout(30):
                while any(node.told is None for node in nodes):
                    await asyncio.gather(*(node.joined.wait(1) for node in nodes))
                job_id = await client.submit(job(2 * GRACE))
                while len({e for node in nodes for e in node.running}) < COUNT:
                    await client.history(job_id, wait=1)
        async with serve(config) as served, AsyncClient(served.api_url) as client:
            async with asyncio.timeout(GRACE):
                while len(await client.nodes(filter_status="connected")) < len(nodes):
                    await client.history(job_id, wait=1)
            done = await client.wait(job_id, 60)
            executions = await client.executions(job_id)
        assert done.state.state_type == "Completed"
        assert [e.state.label for e in executions] == ["Completed"] * COUNT


async def test_who_hears_no_hello_is_absent_only_when_its_next_heartbeats_have_not_come(tmp_path):
    async with open_room(tmp_path) as room:
        orch = room.orch
        orch.rejoin_ns = 30 * SECOND
        known = NodeState(info=NodeInfo(node_id="n-1"), connection_state=ConnectionState())
        await orch.store.put_node(known, "")
        await load_nodes(orch)
        assert not orch.cluster.is_lost("n-1", now_ns() + 30 * SECOND)
        assert orch.cluster.is_lost("n-1", now_ns() + 33 * SECOND)
