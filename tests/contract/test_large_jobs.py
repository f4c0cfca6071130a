"""Jobs that no message holds: nodes of other makes refuse them in clear words, and their blocks go with them."""

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from msgspec.structs import replace

from bacalhau.bus.node import node_bus
from bacalhau.bus.orchestrator import orchestrator_bus
from bacalhau.bus.server import nats_server
from bacalhau.lib.aio import Signal
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import Job, JobState, Task
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import ComputeNodeInfo, NodeInfo
from bacalhau.models.wire import messages as m
from bacalhau.orchestrator.core import Checks, Orchestrator
from bacalhau.orchestrator.jobs.explain import explain_new
from bacalhau.orchestrator.jobs.read import wait_job
from bacalhau.orchestrator.jobs.submit import submit_job
from bacalhau.orchestrator.retention.forget import Keeper
from bacalhau.orchestrator.retention.trim import trim
from bacalhau.orchestrator.run import run_orchestrator
from bacalhau.orchestrator.scheduling import sizes
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.limits import Retention
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.plugins.noop.engine import check_engine
from bacalhau.ports.logs import Quota
from bacalhau.store.logs import FileLogs
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job


async def as_it_is(spec):
    return spec


@asynccontextmanager
async def an_orchestrator(folder):
    """Over a message server of its own."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore(folder / "state.db"))
        gate = Gate(store, "")
        server = await stack.enter_async_context(nats_server(folder / "nats", "127.0.0.1", 0))
        bus = await stack.enter_async_context(orchestrator_bus(server.url, server.access, gate.authorize))
        orch = Orchestrator(
            node_id="n-0",
            store=store,
            bus=bus,
            content=BlockStore(folder / "content"),
            checks=Checks({"noop": check_engine}, {}, {}),
            fill_defaults=lambda job: job,
            presign=as_it_is,
            cluster=Cluster(60_000_000_000),
            gate=gate,
            logs=LogBook(FileLogs(folder / "logs", Quota()), 0),
        )
        await stack.enter_async_context(run_orchestrator(orch))
        yield orch, server


class Foreign:
    """A node that cannot fetch blocks; it takes what it is sent and runs nothing."""

    def __init__(self):
        self.got, self.news = [], Signal()

    async def on_message(self, delivery):
        self.got.append(delivery.message)
        self.news.fire()

    async def no_logs(self, execution_id, tail, follow):
        for text in ():
            yield 1, text

    async def join(self, bus):
        size = Resources(cpu=9.0, memory=10**9)
        offer = ComputeNodeInfo(execution_engines=("noop",), max_capacity=size, max_job_requirements=size)
        answer = await bus.request(m.HandshakeRequest(node_info=NodeInfo(node_id="n-far", compute_node_info=offer)))
        assert answer.accepted
        self.news.fire()


def a_job_of(text):
    task = Task(name="main", engine=SpecConfig(type="noop", params={"Stdout": text}))
    return Job(type="batch", count=1, tasks=(task,))


async def submit(orch, text):
    return (await submit_job(orch, a_job_of(text), force=False, warnings=())).job_id


async def test_a_node_of_another_make_is_no_candidate_for_what_no_message_holds(tmp_path):
    foreign = Foreign()
    async with (
        an_orchestrator(tmp_path) as (orch, server),
        node_bus(server.url, "n-far", "") as bus,
        bus.serve(foreign.on_message, foreign.no_logs, partial(foreign.join, bus)),
    ):
        assert await foreign.news.wait(30)
        for text, fits in (("x" * 700_000, True), ("<" * 200_000, False), ("x" * 1_100_000, False)):
            told = await explain_new(orch, a_job_of(text), ())
            assert [(node.fits, node.never) for node in told.nodes] == [(fits, not fits)]
            assert fits or told.nodes[0].reason.startswith("takes no job above ")
        job = await wait_job(orch, await submit(orch, "<" * 200_000), 60)
        assert job.state.state_type == JobStateType.FAILED and "takes no job above " in job.state.message
        node = orch.cluster.get("n-far")
        orch.cluster.put(replace(node, native=True), 0)
        assert [node.fits for node in (await explain_new(orch, a_job_of("<" * 200_000), ())).nodes] == [True]


async def test_what_a_smaller_message_server_does_not_take_fails_alone_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "MOST", 100_000_000)
    foreign = Foreign()
    async with (
        an_orchestrator(tmp_path) as (orch, server),
        node_bus(server.url, "n-far", "") as bus,
        bus.serve(foreign.on_message, foreign.no_logs, partial(foreign.join, bus)),
    ):
        assert await foreign.news.wait(30)
        too_large = [await submit(orch, "<" * 200_000) for _ in range(70)]
        for job_id in too_large:
            job = await wait_job(orch, job_id, 60)
            assert job.state.state_type == JobStateType.FAILED
            words = "the message to node n-far cannot be delivered: it is too large: 1.2 MB"
            assert words in job.state.message
        await submit(orch, "x" * 700_000)
        while not foreign.got:
            assert await foreign.news.wait(30)
        (start,) = foreign.got
        assert (start.job_blocks, len(start.execution.job.task.engine.params["Stdout"])) == ((), 700_000)
        while orch.outbox.lane("n-far").unsettled():
            assert not await foreign.news.wait(0.02)


def a_large_job(number, **changes):
    engine = SpecConfig(type="noop", params={"Stdout": f"{number}<" * 300_000})
    return a_job(number, tasks=(Task(name="main", engine=engine),), **changes)


async def test_the_blocks_of_a_job_have_the_same_names_over_restarts_and_go_with_it(tmp_path):
    async with an_orchestrator(tmp_path) as (orch, _):
        kept, gone = a_large_job(1), a_large_job(2)
        await orch.commit(Change(new_jobs=(kept, gone)))
        names = {job.id: await orch.specs.keep(job) for job in (kept, gone)}
        second = replace(kept, version=2, revision=2)
        await orch.commit(
            Change(jobs=(second, replace(gone, revision=2, state=JobState(state_type=JobStateType.STOPPED))))
        )
    async with an_orchestrator(tmp_path) as (orch, _):
        newer = await orch.specs.keep(second)
        moved = replace(kept, revision=9, modify_time=77, state=JobState(state_type=JobStateType.RUNNING))
        assert await orch.specs.keep(moved) == names[kept.id] and newer[0] != names[kept.id][0]
        keeper = Keeper(orch.forgetting, orch.content, Retention(jobs_age=1e-9))
        await keeper.forget()
        assert await orch.content.missing(names[gone.id]) == list(names[gone.id])
        assert await orch.content.missing(names[kept.id]) == []
        orch.retention = Retention(versions_count=1)
        await trim(orch)
        assert (await orch.content.missing(names[kept.id]))[0] == names[kept.id][0]
        assert await orch.content.missing(newer) == []
        await orch.content.forget(1 << 62)
        assert await orch.specs.keep(moved) == names[kept.id]
