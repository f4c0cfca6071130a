"""Small jobs that need no container: whole jobs a second, every step durable, over HTTP with many clients at once.

Prints jobs a second for 16 and 32 clients, and resident memory after 10,000 jobs.
"""

import asyncio
import multiprocessing
import sys
import time

import aiohttp

from benchmarks.server import server

JOB = {
    "Job": {
        "Type": "batch",
        "Count": 1,
        "Tasks": [{"Name": "main", "Engine": {"Type": "noop"}, "Resources": {"CPU": "1m", "Memory": "1Mb"}}],
    }
}


async def _client(session: aiohttp.ClientSession, url: str, count: int) -> int:
    completed = 0
    for _ in range(count):
        async with session.put(f"{url}/orchestrator/jobs", json=JOB) as answer:
            job_id = (await answer.json())["JobID"]
        state = "Pending"
        while state not in ("Completed", "Failed", "Stopped"):
            async with session.get(f"{url}/orchestrator/jobs/{job_id}?wait=30") as answer:
                state = (await answer.json())["Job"]["State"]["StateType"]
        completed += state == "Completed"
    return completed


async def _clients(url: str, clients: int, each: int) -> int:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return sum(await asyncio.gather(*(_client(session, url, each) for _ in range(clients))))


def _run(url: str, clients: int, each: int) -> int:
    return asyncio.run(_clients(url, clients, each))


def measure(total: int = 10_000) -> dict[str, float]:
    figures: dict[str, float] = {}
    with server() as served, multiprocessing.get_context("spawn").Pool(1) as pool:
        figures["idle_mb"] = served.resident_mb()
        pool.apply(_run, (served.url, 16, 10))
        done = 160
        for clients in (16, 32):
            each = (total - 160) // 2 // clients
            began = time.perf_counter()
            completed = pool.apply(_run, (served.url, clients, each))
            figures[f"per_second_{clients}"] = clients * each / (time.perf_counter() - began)
            if completed != clients * each:
                raise RuntimeError(f"only {completed} of {clients * each} jobs completed")
            done += completed
        figures["after_jobs"], figures["after_mb"] = done, served.resident_mb()
    return figures


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
