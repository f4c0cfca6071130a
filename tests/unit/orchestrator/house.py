"""A whole orchestrator over the real store, whose nodes are played by the test: no bus, no task beside its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict
from bacalhau.models.job.job import Job, Task
from bacalhau.models.job.network import NetworkConfig, PortMapping
from bacalhau.models.job.resources import Resources, ResourcesConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.core import Checks, Orchestrator
from bacalhau.orchestrator.evaluation.evaluator import evaluate_some
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.nodes.handshake import on_request
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.ports.bus import Delivery
from bacalhau.ports.logs import Quota
from bacalhau.store.logs import FileLogs
from bacalhau.store.store import SqliteStore

HOUR = 3600 * 1_000_000_000


class Quiet:
    """The orchestrator's end of a bus at whose other end the test sits."""

    async def send(self, node_id, type, body, seq):
        pass

    async def disconnect(self, node_id):
        pass


class Watched(SqliteStore):
    """A store that remembers what was written, and of which others are `overtaking` so many changes."""

    def __init__(self, path):
        super().__init__(path)
        self.overtaking, self.overtaken, self.changes = 0, set(), []

    async def apply(self, change):
        if self.overtaking and change.new_executions:
            self.overtaking -= 1
            self.overtaken.update(e.job_id for e in change.new_executions)
            raise Conflict("overtaken")
        seqs = await super().apply(change)
        self.changes.append(change)
        return seqs


async def as_it_is(spec):
    return spec


class House:
    def __init__(self, orch: Orchestrator) -> None:
        self.orch = orch

    async def join(
        self,
        node_id: str,
        cpu: float = 4.0,
        labels: dict[str, str] | None = None,
        engines: tuple[str, ...] = ("noop",),
        publishers: tuple[str, ...] = ("shelf", "rack"),
        sources: tuple[str, ...] = (),
    ) -> None:
        """The node registers, also again, with all that it should have."""
        size = Resources(cpu=cpu, memory=10**10, disk=10**11)
        info = NodeInfo(
            node_id=node_id,
            labels=labels or {},
            compute_node_info=ComputeNodeInfo(
                execution_engines=engines,
                publishers=publishers,
                storage_sources=sources,
                max_capacity=size,
                max_job_requirements=size,
                available_capacity=size,
            ),
        )
        running = tuple(self.orch.cluster.held_on(node_id))
        request = m.HandshakeRequest(node_info=info, running=running)
        await on_request(self.orch, Delivery(node_id, "HandshakeRequest", request))

    async def tell(self, execution, message: str, details: dict[str, str] | None = None) -> None:
        """The node reports: "done", "failed" or "refused"."""
        ids = {"execution_id": execution.id, "job_id": execution.job_id}
        if message == "done":
            told = m.RunResult(**ids)
        elif message == "failed":
            told = m.ComputeError(**ids)
        else:
            told = m.BidResult(**ids, accepted=False)
        await on_message(self.orch, Delivery(execution.node_id, type(told).__name__, told))

    async def live(self):
        return sorted(await self.orch.store.list_live_executions(), key=lambda e: (e.create_time, e.id))

    async def settle(self) -> int:
        """Evaluate until nothing is due any more. The number of rounds."""
        rounds = 0
        while self.orch.queue.is_due(now_ns()):
            await evaluate_some(self.orch)
            rounds += 1
        return rounds

    async def states(self) -> dict[str, str]:
        return {job.name: job.state.state_type for job in await self.orch.store.list_open_jobs()}


@asynccontextmanager
async def open_house(folder: Path, **how) -> AsyncIterator[House]:
    async with Watched(folder / "state.db") as store:
        yield House(make_orchestrator(store, folder, **how))


def make_orchestrator(store, folder: Path, *, grace=HOUR, shares=None, **how) -> Orchestrator:
    return Orchestrator(
        node_id="n-0",
        store=store,
        bus=Quiet(),
        content=BlockStore(folder / "content"),
        checks=Checks({"noop": lambda _: []}, {}, {}),
        fill_defaults=lambda job: job,
        presign=as_it_is,
        cluster=Cluster(grace, shares=shares),
        gate=Gate(store, ""),
        logs=LogBook(FileLogs(folder / "logs", Quota()), 0),
        settle_ns=-1,
        **how,
    )


def wanted(name: str, *, cpu="1", count=1, port=0, kind="batch", namespace="default", **fields) -> Job:
    network = NetworkConfig(type="Host", ports=(PortMapping(name="web", static=port),)) if port else NetworkConfig()
    task = Task(name="main", engine=SpecConfig(type="noop"), resources=ResourcesConfig(cpu=cpu), network=network)
    everywhere = kind in ("ops", "daemon")
    return Job(name=name, namespace=namespace, type=kind, count=None if everywhere else count, tasks=(task,), **fields)
