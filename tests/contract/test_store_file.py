"""The database file itself: one fsync for many, one owner, a full disk, a killed process."""

import asyncio
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from bacalhau.lib.aio import together
from bacalhau.lib.errors import Conflict, Unavailable
from bacalhau.models.execution.plan import Change
from bacalhau.ports.store import HistoryQuery, JobQuery
from bacalhau.store.store import SqliteStore
from tests.unit.store.samples import a_job, a_message, an_execution, entry, submitted


async def test_many_changes_share_one_commit(tmp_path):
    async with SqliteStore(tmp_path / "store.db") as store:
        await together(*(store.apply(submitted(a_job(n))) for n in range(100)))
        assert store.commits <= 3
        assert len(await store.list_jobs(JobQuery())) == 100


async def test_a_conflict_in_a_shared_commit_is_its_own_only(tmp_path):
    async with SqliteStore(tmp_path / "store.db") as store:
        jobs = [a_job(n, name=f"name-{n % 10}") for n in range(20)]
        results = await asyncio.gather(*(store.apply(submitted(job)) for job in jobs), return_exceptions=True)
        assert [isinstance(result, Conflict) for result in results] == [False] * 10 + [True] * 10
        assert store.commits <= 3
        assert [len(await store.list_history(HistoryQuery(job.id))) for job in jobs] == [1] * 10 + [0] * 10


async def test_what_was_applied_is_read_at_once(tmp_path):
    async with SqliteStore(tmp_path / "store.db") as store:

        async def write_then_read(number):
            await store.apply(submitted(a_job(number)))
            assert (await store.find_job(a_job(number).id)).id == a_job(number).id

        await together(*(write_then_read(n) for n in range(50)))


async def test_leaving_commits_what_waits(tmp_path):
    async with SqliteStore(tmp_path / "store.db") as store:
        writes = asyncio.gather(*(store.apply(submitted(a_job(n))) for n in range(300)))
        await store.list_nodes()
    assert len(await writes) == 300
    with pytest.raises(Unavailable, match=r"^the database is closed$"):
        await store.list_nodes()
    async with SqliteStore(tmp_path / "store.db") as store:
        assert len(await store.list_open_jobs()) == 300


async def test_a_data_directory_has_one_server(tmp_path):
    async with SqliteStore(tmp_path / "store.db"):
        with pytest.raises(
            Conflict, match=rf"^another server uses this data directory: {tmp_path} \(process {os.getpid()}\)$"
        ):
            async with SqliteStore(tmp_path / "store.db"):
                pass
    async with SqliteStore(tmp_path / "store.db"):
        pass


async def test_a_newer_database_is_refused_and_the_lock_given_back(tmp_path):
    path = tmp_path / "store.db"
    async with SqliteStore(path):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("insert into schema_versions values (99, '0099_later.sql', 0)")
    for _ in range(2):
        with pytest.raises(Conflict, match="was written by a newer version"):
            async with SqliteStore(path):
                pass


async def test_a_full_disk_fails_the_change_and_nothing_else(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with SqliteStore(tmp_path / "store.db") as store:
        await store.apply(submitted(a_job(1)))
        room = (tmp_path / "store.db-wal").stat().st_size + 100_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            for number in range(2, 4):
                with pytest.raises(
                    Unavailable, match=r"^(disk I/O error|database or disk is full): .*store\.db$"
                ) as caught:
                    await store.apply(replace(submitted(a_job(number)), messages=(a_message(body=b"x" * 300_000),)))
                assert caught.value.retryable and "disk" in caught.value.hint
            assert [job.id for job in await store.list_open_jobs()] == [a_job(1).id]
            await store.apply(submitted(a_job(4)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        await store.apply(replace(submitted(a_job(2)), messages=(a_message(body=b"x" * 300_000),)))
        assert [job.id for job in await store.list_open_jobs()] == [a_job(n).id for n in (1, 2, 4)]
    async with SqliteStore(tmp_path / "store.db") as store:
        assert len(await store.list_open_jobs()) == 3


def say(*words):
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def write_for_ever(path):
    """Each job: submitted, then an execution, history and a message in one change. Says what is durable, a
    line each.
    """
    async with SqliteStore(path) as store:
        numbers = iter(range(len(await store.list_jobs(JobQuery())), 1_000_000))

        async def writer():
            for number in numbers:
                job = a_job(number)
                await store.apply(submitted(job))
                say("submitted", job.id)
                placed = replace(job, revision=2)
                execution = an_execution(job, number)
                history = (entry(job, "placed"), entry(job, "asked", execution.id))
                await store.apply(
                    Change(jobs=(placed,), new_executions=(execution,), history=history, messages=(a_message(job.id),))
                )
                say("placed", job.id)

        await together(*(writer() for _ in range(16)))


def killed_writer(path, lines):
    """What a writing process said before it was killed after so many lines."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.test_store_file", str(path)], stdout=subprocess.PIPE, text=True
    )
    with child:
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += [line for line in child.stdout if line.endswith("\n")]
    return [line.split() for line in said]


async def test_a_killed_process_loses_nothing_it_promised(tmp_path):
    path = tmp_path / "store.db"
    chance = random.Random(7)
    promised = []
    for _ in range(3):
        promised += await asyncio.to_thread(killed_writer, path, chance.randrange(50, 400))
        async with SqliteStore(path) as store:
            jobs = {job.id: job for job in await store.list_jobs(JobQuery())}
            views = await store.load_views(list(jobs))
            for what, job_id in promised:
                assert jobs[job_id].revision == 2 or what == "submitted"
            for job in jobs.values():
                whole = {1: (1, 0, 0), 2: (3, 1, 1)}[job.revision]
                history, messages = (
                    await store.list_history(HistoryQuery(job.id)),
                    await store.list_messages(job.id, 0, 0),
                )
                assert (len(history), len(views[job.id].executions), len(messages)) == whole
    assert len(promised) > 150


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1])))
