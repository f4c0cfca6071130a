"""A real server on loopback over the real orchestrator and store; only the bus has nobody at its other end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bacalhau.api.app import make_app, serve_http
from bacalhau.config.schema import Config
from bacalhau.lib.errors import Unavailable
from bacalhau.models.job.job import Job
from bacalhau.models.job.spec import SpecConfig
from bacalhau.orchestrator.core import Checks, Orchestrator
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.plugins.checks import plugin_checks
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.registry import own_plugins
from bacalhau.ports.logs import Quota
from bacalhau.ports.publisher import Published
from bacalhau.store.logs import FileLogs
from bacalhau.store.store import SqliteStore

JOBS = "/api/v1/orchestrator/jobs"
NODES = "/api/v1/orchestrator/nodes"


@dataclass
class LogBus:
    """An OrchestratorBus whose nodes say `lines` of a log and then stay silent until `end` is set."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    end: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = ""

    async def send(self, node_id, type, body, seq):
        raise Unavailable(f"node {node_id} is not there")

    async def disconnect(self, node_id):
        pass

    @asynccontextmanager
    async def serve(self, on_message, on_request, on_gone):
        yield

    async def ask(self, node_id, message, seconds=10):
        raise Unavailable(f"node {node_id} is not there")

    async def stream_logs(self, node_id, execution_id, *, tail, follow) -> AsyncIterator[tuple[int, str]]:
        try:
            for line in self.lines:
                yield line
            if follow:
                await self.end.wait()
        finally:
            self.closed.set()


async def _as_published(published: Published) -> SpecConfig:
    return published.result


def _as_sent(job: Job) -> Job:
    return job


@dataclass
class Room:
    orch: Orchestrator
    http: httpx.AsyncClient
    url: str
    bus: LogBus

    async def submit(self, **job) -> str:
        """The id of a job that nothing will ever run."""
        answer = await self.http.put(JOBS, json={"Job": a_job(**job)})
        assert answer.status_code == 200, answer.text
        return answer.json()["JobID"]


def a_job(**changes) -> dict:
    task = {
        "Name": "main",
        "Engine": {"Type": "docker", "Params": {"Image": "busybox", "Parameters": ["echo", "<x> & y"]}},
    }
    return {"Type": "batch", "Count": 1, "Tasks": [task]} | changes


@asynccontextmanager
async def open_room(folder: Path, config: Config | None = None) -> AsyncIterator[Room]:
    async with SqliteStore(folder / "state.db") as store:
        bus = LogBus()
        orch = Orchestrator(
            node_id="n-8a9a051c-4064-44a5-b91e-d77b68083704",
            store=store,
            bus=bus,
            content=BlockStore(folder / "blocks"),
            checks=Checks(*plugin_checks(own_plugins())),
            fill_defaults=_as_sent,
            presign=_as_published,
            cluster=Cluster(1_000_000_000),
            gate=Gate(store, ""),
            logs=LogBook(FileLogs(folder / "logs", Quota()), 0),
        )
        async with (
            serve_http(make_app(orch, config), "127.0.0.1", 0) as url,
            httpx.AsyncClient(base_url=url, timeout=20) as http,
        ):
            yield Room(orch, http, url, bus)
