"""What time brings about: a job that goes on for ever keeps the newest of what it left behind and all that is needed to
go on; nodes are given up.
"""

import asyncio
import sqlite3

import pytest
from msgspec.structs import replace

from bacalhau.bus.local import local_bus
from bacalhau.lib.aio import Signal, background
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import NotFound
from bacalhau.models.execution.execution import ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.node.node import CONNECTED, DISCONNECTED, ConnectionState, NodeInfo, NodeState
from bacalhau.orchestrator.core import Checks, Orchestrator
from bacalhau.orchestrator.nodes.watch import TICK, watch_nodes_forever
from bacalhau.orchestrator.retention.trim import trim
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.limits import Retention
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.plugins.ipfs.blocks import BlockStore
from bacalhau.ports.logs import Quota
from bacalhau.ports.store import HistoryQuery, Limits
from bacalhau.store.logs import FileLogs
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, a_message, an_execution, entry

HOUR = 3600 * 1_000_000_000


async def as_it_is(spec):
    return spec


@pytest.fixture
async def orch(tmp_path):
    async with SqliteStore(tmp_path / "state.db") as store, local_bus() as bus:
        yield Orchestrator(
            node_id="n-0",
            store=store,
            bus=bus.orchestrator,
            content=BlockStore(tmp_path / "content"),
            checks=Checks({}, {}, {}),
            fill_defaults=lambda job: job,
            presign=as_it_is,
            cluster=Cluster(1),
            gate=Gate(store, ""),
            logs=LogBook(FileLogs(tmp_path / "logs", Quota()), 0),
        )


async def loop(orch, job, count, first=1, age=0):
    """The job's execution fails `count` times, the last time `age` ns ago; the one after it runs."""
    for number in range(first, first + count + 1):
        at = now_ns() - age - (count + first - number) * 1_000_000
        execution = an_execution(job, number, partition_index=0, create_time=at, modify_time=at)
        await orch.commit(Change(new_executions=(execution,), history=(entry(job, "asked", execution.id),)))
        if number < first + count:
            await orch.commit(
                Change(
                    executions=(execution.moved(ComputeStateType.FAILED, at),),
                    history=(entry(job, "failed", execution.id),),
                )
            )


async def kept(orch, job):
    return sorted(int(e.id[2:10], 16) for e in await orch.store.list_executions(job.id, -1))


async def test_a_service_that_fails_for_ever_keeps_the_newest_in_the_store_and_in_memory(orch):
    job, told = a_job(1, type="service"), []
    await orch.commit(Change(new_jobs=(job,), history=(entry(job, "Job submitted"),)))
    await loop(orch, job, 40, age=HOUR)
    orch.retention = Retention(executions_count=20, history_count=30)

    async def note(ids):
        told.extend(ids)

    orch.on_forgotten = note
    await trim(orch)
    assert await kept(orch, job) == list(range(21, 42))
    assert len(told) == 20
    assert len((await orch.views.load(orch.store, [job.id]))[job.id].executions) == 21
    events = await orch.store.list_history(HistoryQuery(job.id))
    assert [e.seq_num for e in events] == list(range(53, 83))
    assert await orch.store.list_long_jobs(Limits(keep=21), Limits(keep=30), Limits()) == []
    await orch.commit(Change(history=(entry(job, "next"),)))
    assert (await orch.store.list_history(HistoryQuery(job.id, after_seq=82)))[0].seq_num == 83


async def test_what_ended_long_ago_goes_too_but_not_what_counts_as_the_last_failures(orch):
    job = a_job(1, type="service")
    await orch.commit(Change(new_jobs=(job,)))
    await loop(orch, job, 15, age=2 * HOUR)
    orch.retention = Retention(executions_age=3600)
    await trim(orch)
    assert await kept(orch, job) == list(range(6, 17))


async def test_without_limits_and_below_them_all_stays(orch):
    job = a_job(1, type="service")
    await orch.commit(Change(new_jobs=(job,)))
    await loop(orch, job, 12, age=HOUR)
    for limits in (Retention(), Retention(executions_age=2 * 3600, executions_count=13, history_count=100)):
        orch.retention = limits
        await trim(orch)
        assert len(await kept(orch, job)) == 13


async def test_earlier_versions_of_a_job_that_is_run_again_and_again_go_and_its_results_stay(orch):
    job = a_job(1)
    await orch.commit(Change(new_jobs=(job,)))
    await loop(orch, job, 5, age=HOUR)
    again = replace(job, version=2, revision=2)
    await orch.commit(Change(jobs=(again,)))
    await loop(orch, again, 5, first=10, age=HOUR)
    orch.retention = Retention(executions_count=2)
    await trim(orch)
    assert await kept(orch, job) == [6, 10, 11, 12, 13, 14, 15]  # 6 and 15 are live


async def test_a_job_that_is_updated_for_ever_keeps_its_newest_versions_and_those_that_still_run(orch):
    job = a_job(1, type="service")
    await orch.commit(Change(new_jobs=(job,)))
    for version in range(2, 31):
        job = replace(job, version=version, revision=version)
        await orch.commit(Change(jobs=(job,)))
        if version == 7:
            await orch.commit(Change(new_executions=(an_execution(job, 1, job_version=7),)))
    orch.retention = Retention(versions_count=10)
    assert await orch.store.list_long_jobs(Limits(), Limits(), Limits(keep=30)) == []
    assert await orch.store.list_long_jobs(Limits(), Limits(), Limits(keep=29)) == [job.id]
    await trim(orch)
    assert [v.version for v in await orch.store.list_job_versions(job.id)] == [7, *range(21, 31)]
    assert [e.job.version for e in await orch.store.list_executions(job.id, -1)] == [7]
    with pytest.raises(NotFound, match=r"job version 20 not found .*"):
        await orch.store.get_job_version(job.id, 20)
    await orch.commit(Change(jobs=(replace(job, version=31, revision=31),)))
    assert (await orch.store.list_job_versions(job.id))[-2:] == [job, replace(job, version=31, revision=31)]


async def test_messages_for_nodes_that_are_gone_for_good_leave_the_outbox(orch, tmp_path):
    away = NodeState(info=NodeInfo(node_id="n-1"), connection_state=ConnectionState(status=DISCONNECTED))
    await orch.store.put_node(away, "")
    orch.cluster.put(away, now_ns() - HOUR)
    job = a_job(1)
    await orch.commit(
        Change(new_jobs=(job,), new_executions=(an_execution(job, 1),), messages=(a_message(), a_message("n-stranger")))
    )
    orch.retention = Retention(undelivered_age=60)
    await trim(orch)
    with sqlite3.connect(tmp_path / "state.db") as raw:
        assert raw.execute("select node_id from outbox").fetchall() == [("n-1",)]
    assert orch.outbox.names() == ["n-1"]
    assert orch.outbox.settled.items == []  # it still has work there
    await orch.commit(Change(executions=(an_execution(job, 1).moved(ComputeStateType.CANCELLED, 1),)))
    await trim(orch)
    assert len(orch.outbox.settled.items) == 1 and not orch.outbox.lane("n-1").unsettled()


class Clock:
    """Runs by `step` ns a look; `ticked` fires with each."""

    def __init__(self):
        self.now, self.step, self.ticked = now_ns(), 500_000_000, Signal()

    def read(self):
        self.now += self.step
        self.ticked.fire()
        return self.now


async def test_what_happened_while_this_process_was_stopped_counts_against_no_node(orch, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("bacalhau.orchestrator.nodes.watch.now_ns", clock.read)
    monkeypatch.setattr("bacalhau.orchestrator.nodes.watch.TICK", 0.001)
    orch.cluster, orch.silence_ns = Cluster(HOUR // 120), HOUR // 60
    for node_id, status in (("n-1", CONNECTED), ("n-2", DISCONNECTED)):
        orch.cluster.put(
            NodeState(info=NodeInfo(node_id=node_id), connection_state=ConnectionState(status=status)), clock.now
        )
        orch.cluster.heard(node_id, clock.now)
    async with asyncio.timeout(30), background(watch_nodes_forever(orch)):
        for leap in (100 * HOUR, -100 * HOUR):
            await clock.ticked.wait(10)
            clock.now += leap
            for _ in range(3):
                await clock.ticked.wait(10)
            assert orch.cluster.get("n-1").connection_state.status == CONNECTED
            assert (
                not orch.cluster.is_lost("n-2", clock.now)
                and orch.cluster.candidates.by_id["n-2"].lost_at - clock.now < HOUR // 60
            )
        clock.step = 1_900_000_000
        while orch.cluster.get("n-1").connection_state.status == CONNECTED:
            await clock.ticked.wait(10)
    assert orch.cluster.is_lost("n-2", clock.now)


async def test_a_node_that_is_lost_before_things_have_settled_is_given_up_as_soon_as_they_have(orch):
    away = NodeState(info=NodeInfo(node_id="n-1"), connection_state=ConnectionState(status=DISCONNECTED))
    orch.cluster.put(away, now_ns() - HOUR)
    job = a_job(1)
    await orch.commit(Change(new_jobs=(job,), new_executions=(an_execution(job, 1),)))
    orch.started, orch.settle_ns = now_ns(), int(1.6 * TICK * 1e9)
    async with asyncio.timeout(30), background(watch_nodes_forever(orch)):
        await orch.queue.wait()
        assert orch.queue.asked(1) == [job.id]
    assert orch.is_settled(now_ns())
