"""What a node's journal promises."""

import sqlite3
from contextlib import closing

import pytest
from msgspec.structs import replace

from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import Conflict
from bacalhau.lib.wire import encode
from bacalhau.models.job.job import Task
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.journal import Journal, JournalEntry, PendingReport
from bacalhau.store.journal import NodeJournal
from tests.unit.store.samples import a_job, an_execution

JOB = a_job(1).specification
STATES = ("", "Running", "Completed", "Failed")


def accepted(number):
    return replace(an_execution(JOB, number), job=JOB)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node" / "journal.db"


@pytest.fixture
async def journal(path):
    async with NodeJournal(path) as opened:
        port: Journal = opened
        yield port


async def test_an_execution_is_accepted_once_and_kept_with_its_job(journal):
    assert await journal.put_execution(accepted(1))
    assert await journal.put_execution(accepted(2))
    assert not await journal.put_execution(replace(accepted(1), revision=9))
    await journal.set_state(accepted(2).id, "Running")
    one, two = await journal.list_executions(STATES)
    assert one == JournalEntry(accepted(1), "")
    assert two == JournalEntry(accepted(2), "Running")
    assert await journal.list_executions(["Running", "Failed"]) == [two]
    assert await journal.list_executions([""]) == [one]
    assert await journal.list_executions([]) == []


async def test_interruptions_are_counted_for_what_is_in_hand_alone(path):
    async with NodeJournal(path) as journal:
        for number in (1, 2):
            await journal.put_execution(accepted(number))
        await journal.set_state(accepted(2).id, "Completed")
        await journal.count_interruptions(["", "Running"], 1)
        await journal.set_state(accepted(1).id, "Running")
        await journal.count_interruptions(["", "Running"], 1)
    async with NodeJournal(path) as journal:
        await journal.put_execution(accepted(3))
        await journal.count_interruptions(["", "Running"], -1)
        counts = {entry.execution.id: entry.interruptions for entry in await journal.list_executions(STATES)}
    assert counts == {accepted(1).id: 1, accepted(2).id: 0, accepted(3).id: -1}


async def test_ids_are_listed_without_reading_what_they_stand_for(path):
    async with NodeJournal(path) as journal:
        for number in (1, 2, 3):
            await journal.put_execution(accepted(number))
        await journal.set_state(accepted(2).id, "Running")
        await journal.tombstone("e-gone")
        for states in (STATES, ("Running", "Failed"), ("",), ()):
            ids = [entry.execution.id for entry in await journal.list_executions(states)]
            with closing(sqlite3.connect(path)) as database, database:
                bodies = database.execute("select body, id from executions").fetchall()
                database.execute("update executions set body = x'00' where body is not null")
            assert await journal.list_ids(states) == ids
            with closing(sqlite3.connect(path)) as database, database:
                database.executemany("update executions set body = ? where id = ?", bodies)


def a_large_job(number, **changes):
    engine = SpecConfig(type="noop", params={"Stdout": "x" * 1_000_000})
    return a_job(number, tasks=(Task(name="main", engine=engine),), **changes)


async def test_a_job_is_stored_once_for_all_its_executions_and_leaves_with_the_last(path):
    first, second, other = a_large_job(1), a_large_job(1, version=2), a_large_job(2)
    async with NodeJournal(path) as journal:
        for number in range(100):
            # What became of the job meanwhile does not make it another one.
            job = replace((first, second, other)[number % 3], revision=number, modify_time=number)
            assert await journal.put_execution(replace(an_execution(job, number), job=job))
        await journal.tombstone("e-gone")
        assert not await journal.put_execution(replace(an_execution(JOB, 200, id="e-gone"), job=a_large_job(9)))
        assert await journal.put_execution(an_execution(JOB, 300))
        *entries, bare = await journal.list_executions(STATES)
        assert bare.execution.job is None
        assert [e.execution.job for e in entries] == [(first, second, other)[n % 3].specification for n in range(100)]
        assert len({id(entry.execution.job) for entry in entries}) == 3
        for entry in (*entries[0::3], *entries[4::3]):
            await journal.set_state(entry.execution.id, "Completed")
        assert await journal.prune(["Completed"], now_ns(), 1000) == 66 + 1
        left = await journal.list_executions(STATES)
        assert [e.execution.job_version for e in left[:-1]] == [2] + [1] * 33
        assert count_jobs(path) == 2
        assert path.stat().st_size < 20_000_000
        assert await journal.put_execution(replace(an_execution(first, 400), job=first))
        assert (await journal.list_executions(STATES))[-1].execution.job == first.specification


def count_jobs(path):
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("select count(*) from jobs").fetchone()
    return count


async def test_a_journal_that_held_the_job_in_each_execution_is_taken_up(path):
    async with NodeJournal(path) as journal:
        await journal.put_report("e-refused", "", "BidResult", b"two")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("drop table jobs")
        connection.execute("drop index executions_job")
        connection.execute("alter table executions drop column job")
        connection.execute("alter table executions drop column interruptions")
        connection.execute("delete from schema_versions where version > 1")
        for number, state in enumerate(("", "Running", "Completed")):
            old = "insert into executions (id, state, create_time, modify_time, body) values (?, ?, ?, ?, ?)"
            connection.execute(old, (accepted(number).id, state, number, number, encode(accepted(number))))
        connection.execute("insert into executions values ('e-gone', '', 9, 9, null)")
    async with NodeJournal(path) as journal:
        assert await journal.list_executions(STATES) == [
            JournalEntry(accepted(number), state) for number, state in enumerate(("", "Running", "Completed"))
        ]
        assert [report.body for report in await journal.list_reports(0, 0)] == [b"two"]
        assert not await journal.put_execution(accepted(1))
        assert not await journal.put_execution(replace(accepted(9), id="e-gone"))
        assert await journal.put_execution(accepted(3))
        assert await journal.prune(["Completed"], now_ns(), 1000) == 2
        assert [e.execution for e in await journal.list_executions(STATES)] == [accepted(n) for n in (0, 1, 3)]


async def test_an_unknown_execution_has_no_state(journal):
    await journal.tombstone("e-gone")
    for execution_id in ("e-nope", "e-gone"):
        with pytest.raises(Conflict, match=f"^execution {execution_id} is not in the journal$"):
            await journal.set_state(execution_id, "Running")


async def test_a_cancel_may_overtake_its_ask(journal):
    assert await journal.tombstone(accepted(1).id)
    assert await journal.tombstone(accepted(1).id)
    assert not await journal.put_execution(accepted(1))
    assert await journal.put_execution(accepted(2))
    assert not await journal.tombstone(accepted(2).id)
    assert [entry.execution for entry in await journal.list_executions(STATES)] == [accepted(2)]


async def test_a_report_and_its_state_are_kept_together(journal):
    await journal.put_execution(accepted(1))
    first = await journal.put_report(accepted(1).id, "Completed", "RunResult", b"one")
    second = await journal.put_report("e-refused", "Rejected", "BidResult", b"two")
    third = await journal.put_report(accepted(1).id, "", "RunResult", b"three")
    assert first < second < third
    assert [entry.state for entry in await journal.list_executions(STATES)] == ["Completed"]
    assert await journal.list_reports(0, 2) == [
        PendingReport(first, accepted(1).id, "RunResult", b"one"),
        PendingReport(second, "e-refused", "BidResult", b"two"),
    ]
    assert [report.seq for report in await journal.list_reports(first, 0)] == [second, third]
    await journal.drop_reports([first, third, 99])
    await journal.drop_reports([])
    assert [report.seq for report in await journal.list_reports(0, 0)] == [second]


async def test_report_numbers_grow_over_restarts(path):
    async with NodeJournal(path) as journal:
        seqs = await together(*(journal.put_report("e-1", "", "RunResult", b"") for _ in range(20)))
        assert sorted(seqs) == list(range(1, 21))
        await journal.drop_reports(seqs)
    async with NodeJournal(path) as journal:
        assert await journal.list_reports(0, 0) == []
        assert await journal.put_report("e-1", "", "RunResult", b"") == 21


async def test_finished_ones_are_pruned_by_age_and_by_count(journal):
    for number in range(1, 7):
        await journal.put_execution(accepted(number))
    await journal.tombstone("e-gone")
    for number in (1, 2, 3):
        await journal.put_report(accepted(number).id, "Completed", "RunResult", b"")
    await journal.drop_reports([1, 2])
    for number in (4, 5):
        await journal.set_state(accepted(number).id, "Failed")
    assert await journal.prune(["Completed", "Failed"], before=0, keep=10) == 0
    # Newest first: 5, 4, 2, 1, e-gone; 3 has a report that nobody acknowledged, 6 is not finished.
    assert await journal.prune(["Completed", "Failed"], before=0, keep=3) == 2
    assert [entry.execution.id for entry in await journal.list_executions(STATES)] == [
        accepted(n).id for n in (2, 3, 4, 5, 6)
    ]
    assert await journal.prune(["Completed"], before=now_ns(), keep=10) == 1
    assert [entry.execution.id for entry in await journal.list_executions(STATES)] == [
        accepted(n).id for n in (3, 4, 5, 6)
    ]
    assert await journal.tombstone("e-gone")


async def test_a_node_directory_has_one_server(path):
    async with NodeJournal(path):
        with pytest.raises(Conflict, match=f"^another server uses this data directory: {path.parent}"):
            async with NodeJournal(path):
                pass
