"""The API: how quickly it answers while small jobs run, whether pollers are ever refused, and what 100,000 finished
jobs cost.

python -m benchmarks.api [load] [polling] [finished]
"""

import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bacalhau.store.store import SqliteStore
from benchmarks import noop
from benchmarks.noop import JOB, Connection
from benchmarks.server import Server, server, started, wait_for_node
from benchmarks.store import make_job, one_job, spread

POLLERS, POLL_SECONDS = 32, 5.0
FINISHED = 100_000
LIST = "/orchestrator/jobs?limit=10&order_by=created_at&reverse=true"
OLDEST = "/orchestrator/jobs?limit=10"


async def _timed(connection: Connection, path: str) -> float:
    began = time.perf_counter()
    await connection.ask("GET", path)
    if connection.status != 200:
        raise RuntimeError(f"{path} answered {connection.status}")
    return 1000 * (time.perf_counter() - began)


async def _probe(url: str, until: float) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {"get": [], "list": []}
    async with Connection(url) as connection:
        job_id = json.loads(await connection.ask("PUT", "/orchestrator/jobs", JOB))["JobID"]
        while time.monotonic() < until:
            taken["get"].append(await _timed(connection, f"/orchestrator/jobs/{job_id}"))
            taken["list"].append(await _timed(connection, LIST))
            await asyncio.sleep(0.002)
    return taken


def measure_load(seconds: float = 10) -> dict[str, float]:
    """p50 and p99 in ms of one client's requests while 16 others run small jobs."""
    with server() as served, multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(noop.run, (served.url, 16, 10))
        load = pool.apply_async(noop.run, (served.url, 16, 10_000))
        taken = asyncio.run(_probe(served.url, time.monotonic() + seconds))
        pool.terminate()
        load.ready()
    return {
        f"{name}_{label}_ms": _percentile(found, share)
        for name, found in taken.items()
        for label, share in (("p50", 50), ("p99", 99))
    }


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


async def _poll(url: str, job_id: str, until: float, answers: Counter[int]) -> None:
    async with Connection(url) as connection:
        while time.monotonic() < until:
            await connection.ask("GET", f"/orchestrator/jobs/{job_id}")
            answers[connection.status] += 1


async def _poll_all(url: str) -> Counter[int]:
    answers: Counter[int] = Counter()
    async with Connection(url) as connection:
        job_id = json.loads(await connection.ask("PUT", "/orchestrator/jobs", JOB))["JobID"]
    until = time.monotonic() + POLL_SECONDS
    await asyncio.gather(*(_poll(url, job_id, until, answers) for _ in range(POLLERS)))
    return answers


def measure_polling() -> dict[str, float]:
    """Requests a second of 32 clients that ask as fast as they can, and how many were refused."""
    with server() as served:
        answers = asyncio.run(_poll_all(served.url))
    return {"per_second": answers.total() / POLL_SECONDS, "refused": answers.total() - answers[200]}


async def _fill(path: Path, count: int) -> None:
    async with SqliteStore(path) as store:

        async def whole_job(_: int) -> None:
            for change in one_job(make_job()):
                seqs = await store.apply(change)
                await store.drop_messages(seqs)

        await spread(256, count, whole_job)


async def _lists(url: str, path: str) -> float:
    async with Connection(url) as connection:
        return statistics.median([await _timed(connection, path) for _ in range(200)])


def _speed(served: Server) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(noop.run, (served.url, 16, 5))
        began = time.perf_counter()
        pool.apply(noop.run, (served.url, 16, 40))
        per_second = 640 / (time.perf_counter() - began)
    return {
        "jobs_per_second": per_second,
        "list_ms": asyncio.run(_lists(served.url, LIST)),
        "oldest_ms": asyncio.run(_lists(served.url, OLDEST)),
    }


@contextmanager
def _with_finished(jobs: int) -> Iterator[Server]:
    """A server whose store holds so many of them."""
    with TemporaryDirectory(prefix="bacalhau-bench-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "data" / "orchestrator" / "state.db"
        path.parent.mkdir(parents=True)
        asyncio.run(_fill(path, jobs))
        with started(Path(folder), ("Orchestrator.Retention.JobsMaxCount=1000000",), {}) as served:
            wait_for_node(served)
            yield served


def measure_finished(count: int = FINISHED) -> dict[str, float]:
    """Small jobs a second, and lists in ms, of a server with `count` finished jobs and one without any, in turn;
    medians.
    """
    rounds: dict[str, list[dict[str, float]]] = {"empty": [], "full": []}
    with _with_finished(0) as empty, _with_finished(count) as full:
        for _ in range(5):
            rounds["empty"].append(_speed(empty))
            rounds["full"].append(_speed(full))
    return {
        f"{name}_{what}": statistics.median(each[what] for each in found)
        for name, found in rounds.items()
        for what in found[0]
    }


if __name__ == "__main__":
    what = {"load": measure_load, "polling": measure_polling, "finished": measure_finished}
    for name in sys.argv[1:] or what:
        print(name, what[name]())
