"""What a change promises: whole or not at all, guarded, durable; messages, dead letters, nodes."""

import sqlite3
from contextlib import closing

import pytest
from msgspec.structs import replace

from bacalhau.lib.errors import Conflict
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.state import JobStateType
from bacalhau.models.node.node import REJECTED, ComputeNodeInfo, NodeInfo, NodeState
from bacalhau.ports.store import HistoryQuery, PendingMessage, Store
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, a_message, an_execution, entry, submitted


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
async def store(path):
    async with SqliteStore(path) as opened:
        port: Store = opened
        yield port


def rows(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def test_a_name_is_taken_once_in_a_namespace(store):
    await store.apply(submitted(a_job(1, name="mine")))
    await store.apply(submitted(a_job(2, name="mine", namespace="lab")))
    with pytest.raises(Conflict, match=r"^job name mine already exists in namespace default$") as caught:
        await store.apply(submitted(a_job(3, name="mine")))
    assert caught.value.component == "JobStore"
    with pytest.raises(Conflict, match=r"^job name other already exists"):
        await store.apply(submitted(a_job(1, name="other")))


async def test_a_change_lands_only_on_the_revision_it_was_made_from(store):
    job = a_job(1)
    execution = an_execution(job, 1)
    await store.apply(Change(new_jobs=(job,), new_executions=(execution,)))
    running = job.moved(JobStateType.RUNNING, 9)
    await store.apply(Change(jobs=(running,)))
    with pytest.raises(Conflict, match=f"^job {job.id} is not at revision 1: it was changed meanwhile"):
        await store.apply(Change(jobs=(running,)))
    asked = replace(execution, revision=3)
    with pytest.raises(Conflict, match=f"^execution {execution.id} is not at revision 2"):
        await store.apply(Change(executions=(asked,)))
    with pytest.raises(Conflict, match=f"^execution {execution.id} cannot begin: it exists, or another"):
        await store.apply(Change(new_executions=(execution,)))
    with pytest.raises(Conflict, match=r"^execution .* cannot begin: .* or job .* is not open at version 1$"):
        await store.apply(Change(new_executions=(an_execution(a_job(9), 2),)))
    with pytest.raises(Conflict, match=f"^job not found: {a_job(9).id}$"):
        await store.apply(Change(history=(entry(a_job(9), "lost"),)))


async def test_one_change_may_move_a_thing_twice(store):
    job = a_job(1)
    running = job.moved(JobStateType.RUNNING, 2)
    done = running.moved(JobStateType.COMPLETED, 3)
    await store.apply(Change(new_jobs=(job,), jobs=(running, done)))
    assert await store.find_job(job.id) == done


async def test_a_conflict_leaves_nothing_of_its_change(store):
    job = a_job(1)
    await store.apply(submitted(job))
    lost = Change(
        new_jobs=(a_job(2),),
        new_executions=(an_execution(job, 1),),
        history=(entry(job, "never"),),
        messages=(a_message(),),
        jobs=(replace(job, revision=5),),
    )
    with pytest.raises(Conflict):
        await store.apply(lost)
    assert await store.list_open_jobs() == [job]
    assert await store.list_live_executions() == []
    assert len(await store.list_history(HistoryQuery(job.id))) == 1
    assert await store.list_messages("n-1", 0, 0) == []
    assert await store.apply(replace(lost, jobs=(replace(job, revision=2),))) == [1]


async def test_an_empty_change_is_nothing(store):
    assert await store.apply(Change()) == []


async def test_messages_wait_in_order_until_dropped(store):
    one = await store.apply(Change(messages=(a_message("n-1", b"a"), a_message("n-2", b"b"), a_message("n-1", b"c"))))
    two = await store.apply(Change(messages=(a_message("n-1", b"d"),)))
    assert [*one, *two] == [1, 2, 3, 4]
    assert await store.list_messages("n-1", 0, 2) == [
        PendingMessage(1, "n-1", "AskForBid", b"a"),
        PendingMessage(3, "n-1", "AskForBid", b"c"),
    ]
    assert [m.seq for m in await store.list_messages("n-1", 1, 0)] == [3, 4]
    await store.drop_messages([1, 3, 99])
    await store.drop_messages([])
    assert [m.seq for m in await store.list_messages("n-1", 0, 0)] == [4]


async def test_message_numbers_are_never_given_again(path):
    async with SqliteStore(path) as store:
        assert await store.apply(Change(messages=(a_message(), a_message()))) == [1, 2]
        await store.drop_messages([1, 2])
    async with SqliteStore(path) as store:
        assert await store.apply(Change(messages=(a_message(),))) == [3]


async def test_dead_letters_are_kept(store, path):
    await store.put_dead_letter("n-1", "no such type", b"\x00body")
    assert rows(path, "select source, reason, body from dead_letters") == [("n-1", "no such type", b"\x00body")]


async def test_nodes_keep_their_secret(store):
    node = NodeState(
        info=NodeInfo(node_id="n-1", labels={"zone": "a"}, compute_node_info=ComputeNodeInfo(address="here"))
    )
    other = NodeState(info=NodeInfo(node_id="n-0"))
    assert await store.node_secret("n-1") == ""
    await store.put_node(node, "")
    assert await store.node_secret("n-1") == ""
    await store.put_node(node, "hash")
    rejected = replace(node, membership=REJECTED)
    await store.put_node(rejected, "")
    await store.put_node(other, "")
    assert await store.node_secret("n-1") == "hash"
    assert await store.list_nodes() == [other, rejected]


async def test_everything_is_there_after_a_restart(path):
    job = a_job(1)
    execution = an_execution(job, 1)
    async with SqliteStore(path) as store:
        await store.apply(replace(submitted(job), new_executions=(execution,), messages=(a_message(),)))
        await store.put_node(NodeState(info=NodeInfo(node_id="n-1")), "hash")
    async with SqliteStore(path) as store:
        assert await store.load_execution(execution.id) == (execution, job)
        assert len(await store.list_messages("n-1", 0, 0)) == len(await store.list_nodes()) == 1
