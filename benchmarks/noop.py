"""Small jobs that need no container: whole jobs a second, every step durable, over HTTP with many clients at once.

Prints jobs a second for 16 and 32 clients, the server's processor time for each (the figure that other work on the
same machine does not change), and resident memory after 10,000 jobs.
"""

import asyncio
import json
import multiprocessing
import sys
import time
from urllib.parse import urlsplit

from benchmarks.server import server

TASK = {"Name": "main", "Engine": {"Type": "noop"}, "Resources": {"CPU": "1m", "Memory": "1Mb"}}
JOB = json.dumps({"Job": {"Type": "batch", "Count": 1, "Tasks": [TASK]}}).encode()
ENDS = ("Completed", "Failed", "Stopped")


class Connection:
    """HTTP by hand on one kept connection: the load must not cost more than what it measures.

    `status` is the last answer's.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.status = 0

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        head = (
            f"{method} {self._url.path}{path} HTTP/1.1\r\nHost: {self._url.netloc}\r\nContent-Type:"
            f" application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        self.status = int(answer[9:12])
        length = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return await self._reader.readexactly(length)


async def _client(url: str, count: int) -> int:
    completed = 0
    async with Connection(url) as connection:
        for _ in range(count):
            job_id = json.loads(await connection.ask("PUT", "/orchestrator/jobs", JOB))["JobID"]
            state = ""
            while state not in ENDS:
                state = json.loads(await connection.ask("GET", f"/orchestrator/jobs/{job_id}?wait=30"))["Job"]["State"][
                    "StateType"
                ]
            completed += state == "Completed"
    return completed


async def _clients(url: str, clients: int, each: int) -> int:
    return sum(await asyncio.gather(*(_client(url, each) for _ in range(clients))))


def run(url: str, clients: int, each: int) -> int:
    return asyncio.run(_clients(url, clients, each))


def measure(total: int = 10_000) -> dict[str, float]:
    figures: dict[str, float] = {}
    with server() as served, multiprocessing.get_context("spawn").Pool(1) as pool:
        figures["idle_mb"] = served.resident_mb()
        pool.apply(run, (served.url, 16, 10))
        done, cpu = 160, served.cpu_ms()
        for clients in (16, 32):
            each = (total - 160) // 2 // clients
            began = time.perf_counter()
            completed = pool.apply(run, (served.url, clients, each))
            figures[f"per_second_{clients}"] = clients * each / (time.perf_counter() - began)
            if completed != clients * each:
                raise RuntimeError(f"only {completed} of {clients * each} jobs completed")
            done += completed
        figures["cpu_ms"] = (served.cpu_ms() - cpu) / (done - 160)
        figures["after_jobs"], figures["after_mb"] = done, served.resident_mb()
    return figures


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
