"""Pages of lists: together they are the whole list, and what comes or changes in between moves nothing."""

import asyncio
import sqlite3
import tempfile
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau.lib.aio import crew
from bacalhau.models.execution.execution import ComputeState, ComputeStateType
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import JobState
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import NodeInfo, NodeState
from bacalhau.ports.store import ALL, ExecutionPage, Found, HistoryQuery, JobQuery, place_of
from bacalhau.store.paging import SLICE
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, an_execution, submitted

TIMES = st.integers(1, 4)
ENDS = st.sampled_from([ComputeStateType.COMPLETED, ComputeStateType.FAILED, ComputeStateType.CANCELLED])
ROWS = st.lists(st.tuples(TIMES, TIMES, ENDS, st.integers(1, 2)), max_size=12)


class Executions:
    """The list of the executions of one job, in two versions; rows have numbers."""

    orders = ("created_at", "modified_at", "id", "state")

    def __init__(self, store, order_by, reverse, version):
        self.store, self.version = store, version
        self.page = ExecutionPage(order_by, reverse)

    async def begin(self):
        await self.store.apply(submitted(a_job(1)))

    async def add(self, number, row):
        created, modified, end, version = row
        fields = {"job_version": version, "create_time": created, "modify_time": modified}
        execution = an_execution(a_job(1), number, compute_state=ComputeState(state_type=end), **fields)
        await self.store.apply(Change(new_executions=(execution,)))

    async def read(self, limit=0, after=None):
        page = self.page._replace(limit=limit, after=after)
        return await self.store.list_executions(a_job(1).id, self.version, page)


class Jobs:
    """The list of the jobs of all namespaces, or of one of two."""

    orders = ("created_at", "modified_at", "id")

    def __init__(self, store, order_by, reverse, version):
        self.store = store
        self.page = JobQuery("lab" if version == 1 else "*", order_by, reverse)

    async def begin(self):
        pass

    async def add(self, number, row):
        created, modified, _, version = row
        namespace = "lab" if version == 1 else "default"
        job = a_job(number, create_time=created, modify_time=modified, namespace=namespace)
        await self.store.apply(submitted(job))

    async def read(self, limit=0, after=None):
        return await self.store.list_jobs(self.page._replace(limit=limit, after=after))


@asynccontextmanager
async def open_store():
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteStore(Path(folder) / "store.db") as store:
            yield store


async def check(kind, order, reverse, version, before, between, size):
    async with open_store() as store:
        listed = kind(store, kind.orders[order % len(kind.orders)], reverse, version)
        await listed.begin()
        # Ids are in another order than rows come in, and later ones lie between.
        numbers = iter([7 * n % 101 for n in range(1, 101)])
        for row in before:
            await listed.add(next(numbers), row)
        whole = await listed.read()
        pages, later = [], iter(between)
        while page := await listed.read(size, place_of(pages[-1], listed.page.order_by) if pages else None):
            pages += page
            assert len(pages) <= len(before) + len(between), "it has no end"
            if not between:
                assert len(page) == size or len(pages) == len(whole)
            for row, _ in zip(later, range(2), strict=False):
                await listed.add(next(numbers), row)
        ids = [item.id for item in pages]
        assert len(set(ids)) == len(ids), "something is listed twice"
        old = {item.id for item in whole}
        assert [item for item in pages if item.id in old] == whole, "something is missing, or in another place"
        assert between or pages == whole
        positions = {item.id: n for n, item in enumerate(await listed.read())}
        assert ids == sorted(ids, key=positions.__getitem__)


@pytest.mark.parametrize("kind", [Executions, Jobs])
@given(
    order=st.integers(0, 3),
    reverse=st.booleans(),
    version=st.sampled_from([-1, 0, 1, 2]),
    before=ROWS,
    between=ROWS,
    size=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_pages_are_the_list_and_what_comes_between_them_moves_nothing(
    kind, order, reverse, version, before, between, size
):
    asyncio.run(check(kind, order, reverse, version, before, between, size))


async def test_a_list_that_is_decoded_in_slices_is_whole_and_in_order():
    async with open_store() as store:
        job, other = a_job(1), a_job(2)
        many = tuple(an_execution(job, n, create_time=9_000 - n) for n in range(2 * SLICE + 1))
        theirs = an_execution(other, 9_999)
        await store.apply(Change(new_jobs=(job, other), new_executions=(*many, theirs)))
        found = await store.list_executions(job.id, -1)
        assert [e.id for e in found] == [e.id for e in reversed(many)]
        assert all(e.job == job for e in found)
        assert await store.list_live_executions() == [*reversed(many), theirs]
        views = await store.load_views([job.id, other.id])
        assert views[job.id].executions == tuple(reversed(many)) and views[other.id].executions == (theirs,)


async def test_a_number_that_is_given_again_brings_nobody_elses_rows_into_a_list():
    async with open_store() as store:
        mine, other = a_job(1, namespace="lab"), a_job(2)
        ended = an_execution(mine, 1, compute_state=ComputeState(state_type=ComputeStateType.FAILED))
        await store.apply(Change(new_jobs=(mine, other), new_executions=(ended,)))
        numbers = await store.number_executions(mine.id, -1)
        await store.forget_executions(mine.id, [ended.id])
        await store.apply(Change(new_executions=(an_execution(other, 2),)))
        assert await store.number_executions(other.id, -1) == numbers
        assert await store.load_executions(mine.id, numbers) == []

        done = a_job(3, namespace="lab", state=JobState(state_type=JobStateType.COMPLETED))
        await store.apply(submitted(done))
        numbers = await store.number_jobs(JobQuery("lab"))
        await store.forget_jobs([done.id])
        while (await store.sweep_forgotten(10))[1]:
            pass
        await store.apply(submitted(a_job(4)))
        assert numbers[-1] in await store.number_jobs(JobQuery("default"))
        assert [job.id for job in await store.load_jobs("lab", numbers)] == [mine.id]


async def test_executions_are_found_by_the_beginning_of_their_id():
    async with open_store() as store:
        job, other = a_job(1), a_job(2)
        live, ended = an_execution(job, 0x11), an_execution(job, 0x12)
        await store.apply(Change(new_jobs=(job, other), new_executions=(live, ended, an_execution(other, 0x21))))
        await store.apply(Change(executions=(ended.moved(ComputeStateType.FAILED, 5),)))
        assert await store.find_executions(job.id, "e-0000001") == Found(any=True, live=True)
        assert await store.find_executions(job.id, ended.id) == Found(any=True, live=False)
        assert await store.find_executions(job.id, "e-0000002") == Found(any=False, live=False)
        assert await store.find_executions("j-nope", "") == Found(any=False, live=False)
        found = await store.list_executions(job.id, -1, ExecutionPage(prefix="e-00000011"))
        assert [e.id for e in found] == [live.id]


class Gate:
    """A read that is under way until it is let go."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, snapshot):
        rows = snapshot.rows("list_nodes", {})
        self.begun.set()
        assert self.go.wait(30)
        return rows, snapshot.rows("list_nodes", {})


SHORT = {
    "find_job": lambda store: store.find_job(a_job(1).id),
    "list_jobs": lambda store: store.list_jobs(JobQuery(limit=10)),
    "list_executions": lambda store: store.list_executions(a_job(1).id, -1, ExecutionPage(limit=10)),
    "find_executions": lambda store: store.find_executions(a_job(1).id, "e-"),
    "list_history": lambda store: store.list_history(HistoryQuery(a_job(1).id)),
    "load_execution": lambda store: store.load_execution(an_execution(a_job(1), 1).id),
    "load_views": lambda store: store.load_views([a_job(1).id]),
    "list_messages": lambda store: store.list_messages("n-1", 0, 10),
    "list_nodes": lambda store: store.list_nodes(),
    "apply": lambda store: store.apply(submitted(a_job(5))),
}
LONG = {
    "list_jobs": lambda store: store.list_jobs(JobQuery()),
    "list_executions": lambda store: store.list_executions(a_job(1).id, -1, ALL),
    "list_by_state": lambda store: store.list_executions(a_job(1).id, -1, ExecutionPage("state", limit=10)),
    "list_history": lambda store: store.list_history(HistoryQuery(a_job(1).id, limit=0)),
    "history_of_one": lambda store: store.list_history(HistoryQuery(a_job(1).id, execution_id="e-1")),
    "list_open_jobs": lambda store: store.list_open_jobs(),
}


@pytest.fixture
async def busy():
    """A store in which a long list is being read."""
    async with open_store() as store:
        await store.apply(Change(new_jobs=(a_job(1),), new_executions=(an_execution(a_job(1), 1),)))
        gate = Gate()
        async with crew() as people:
            reading = people.start(store._database.read_whole(gate, "lists"))
            await asyncio.to_thread(gate.begun.wait, 30)
            try:
                yield store, gate, reading
            finally:
                gate.go.set()


@pytest.mark.parametrize("name", SHORT)
async def test_a_short_read_does_not_wait_for_a_long_one(busy, name):
    store, _, reading = busy
    await asyncio.wait_for(SHORT[name](store), 20)
    assert not reading.done()


@pytest.mark.parametrize("name", LONG)
async def test_long_reads_keep_out_of_the_way_of_short_ones(busy, name):
    """They wait for the one that is under way, and so leave the short ones' lane free."""
    store, gate, reading = busy
    async with crew() as people:
        waiting = people.start(LONG[name](store))
        for _ in range(2):  # what came before the second one in its lane is done
            await store.find_job(a_job(1).id)
        assert not waiting.done() and not reading.done()
        gate.go.set()
        await waiting


async def test_a_long_read_sees_one_moment(busy):
    store, gate, reading = busy
    await store.put_node(NodeState(info=NodeInfo(node_id="n-1")), "")
    assert len(await store.list_nodes()) == 1
    gate.go.set()
    assert await reading == ([], [])


@pytest.mark.parametrize("name", [name for name in SHORT if name != "apply"])
async def test_no_read_waits_for_a_write(busy, name, tmp_path):
    store, _, _ = busy
    writer = sqlite3.connect(store._database._path, isolation_level=None)
    writer.execute("begin immediate")
    writer.execute("delete from jobs")
    try:
        await asyncio.wait_for(SHORT[name](store), 20)
    finally:
        writer.execute("rollback")
        writer.close()
