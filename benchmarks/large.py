"""One job of 100,000 no-op parts on 100 simulated nodes: run to its end, stopped while all parts run, and forgotten.

Nodes and clients are processes of their own. All the while one client asks every 10 ms whether the server is alive.
Questions that were due while it waited for an answer count with the time that they would have waited, so a pause of the
server counts as often as it is long.

Server, message server, nodes and clients share the processors of one machine. So an answer may also be late because
the server or the client was ready to run and got no processor. The kernel counts that time for each thread; `pause` is
the longest answer without it: how long the server itself kept the client waiting. While the event loop slept, it may
have waited for the interpreter, held by another thread of the server that got no processor; that counts likewise.

python -m benchmarks.large [parts]
"""

import asyncio
import json
import math
import multiprocessing
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fleet import Handle, Plan, fleet
from benchmarks.noop import ENDS, TASK, Connection
from benchmarks.placement import wait_for
from benchmarks.server import Server, orchestrator

PARTS, NODES = 100_000, 100
PROBE_EVERY = 0.01  # seconds between two questions whether the server is alive
HALF_A_CORE = {**TASK, "Resources": {"CPU": "500m", "Memory": "1Mb"}}
SETTINGS = ("Orchestrator.Retention.JobsMaxAge=1s", "Logging.Level=error")
PATIENCE = 900.0  # seconds


class Times(NamedTuple):
    """Seconds so far: what the event loop of a server ran, and what it, the server's other threads and this process
    were ready to run and had no processor.
    """

    ran: float
    loop: float
    others: float
    here: float

    def wait_since(self, before: "Times", took: float) -> float:
        """Find how much of the seconds since `before` somebody waited for a processor. What the server's other threads
        waited counts at most for the time in which the event loop slept.
        """
        ran, loop, others, here = (now - then for now, then in zip(self, before, strict=True))
        return loop + here + max(0.0, min(others, took - ran - loop - here))  # a thread that ended counts no more


def _read_times(pid: int) -> Times:
    threads = [(int(path.name), _schedule(path)) for path in Path(f"/proc/{pid}/task").iterdir()]
    (ran, loop), others = dict(threads)[pid], sum(waited for thread, (_, waited) in threads if thread != pid)
    return Times(ran, loop, others, _schedule(Path("/proc/self"))[1])


def _schedule(path: Path) -> tuple[float, float]:
    """Read the seconds that a thread ran, and that it was ready to run and had no processor."""
    ran, waited, _ = path.joinpath("schedstat").read_bytes().split()
    return int(ran) / 1e9, int(waited) / 1e9


class _Answers:
    """The ms that answers took: `taken` as asked, `paused` without the time that nobody had a processor for them."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.paused: list[float] = []

    def note(self, took: float, waited: float) -> None:
        """Note an answer that took so many seconds, of which so many were waits for a processor."""
        self.taken += [1000 * (took - missed * PROBE_EVERY) for missed in range(1 + int(took / PROBE_EVERY))]
        self.paused.append(1000 * max(0.0, took - waited))


async def _probe(url: str, pid: int, pipe: Pipe) -> None:
    """Ask whether the server is alive until the pipe says "end"; answer "take" with the ms each question took."""
    answers = _Answers()
    async with Connection(url) as connection:
        while True:
            began, before = time.perf_counter(), _read_times(pid)
            await connection.ask("GET", "/agent/alive")
            took = time.perf_counter() - began
            answers.note(took, _read_times(pid).wait_since(before, took))
            if pipe.poll():
                if pipe.recv() == "end":
                    return
                pipe.send((answers.taken, answers.paused))
                answers = _Answers()
            await asyncio.sleep(max(0.0, PROBE_EVERY - took))


def _run_probe(url: str, pid: int, pipe: Pipe) -> None:
    asyncio.run(_probe(url, pid, pipe))


class Probe:
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def take(self, name: str) -> dict[str, float]:
        """Return the median, p99 and maximum since the last call, and the longest pause of the server, ms."""
        self._pipe.send("take")
        taken, paused = self._pipe.recv()
        taken.sort()
        return {
            f"{name}_alive_p50_ms": taken[len(taken) // 2],
            f"{name}_alive_p99_ms": taken[math.ceil(0.99 * len(taken)) - 1],
            f"{name}_alive_max_ms": taken[-1],
            f"{name}_pause_ms": max(paused),
        }


@contextmanager
def probing(url: str, pid: int) -> Iterator[Probe]:
    """Ask whether the server is alive, from a process of its own, while the block runs."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_run_probe, args=(url, pid, theirs), daemon=True)
    process.start()
    try:
        probe = Probe(mine)
        probe.take("start")
        yield probe
    finally:
        mine.send("end")
        process.join()


async def _ask(url: str, method: str, path: str, body: bytes) -> Any:
    async with Connection(url) as connection:
        return json.loads(await connection.ask(method, path, body))


def ask(url: str, method: str, path: str, body: bytes = b"") -> Any:
    """Make a request of a connection of its own, and read the JSON that answers it."""
    return asyncio.run(_ask(url, method, path, body))


def _submit(served: Server, count: int, task: dict[str, Any]) -> str:
    body = json.dumps({"Job": {"Type": "batch", "Count": count, "Tasks": [task]}}).encode()
    return str(ask(served.url, "PUT", "/orchestrator/jobs", body)["JobID"])


def _wait_for_end(served: Server, job_id: str) -> str:
    """Wait until the job has ended, and return its state."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = ask(served.url, "GET", f"/orchestrator/jobs/{job_id}?wait=30")
        if found["Job"]["State"]["StateType"] in ENDS:
            return str(found["Job"]["State"]["StateType"])
    raise RuntimeError(f"job {job_id} did not end in {PATIENCE:.0f} s")


def _count(served: Server, query: str) -> int:
    """Count by a query of the server's database, past the server."""
    path = served.folder / "data" / "orchestrator" / "state.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return int(database.execute(query).fetchone()[0])


def _wait_until_none(served: Server, query: str) -> None:
    end = time.monotonic() + PATIENCE
    while _count(served, query):
        if time.monotonic() > end:
            raise RuntimeError(f"{query}: still {_count(served, query)} after {PATIENCE:.0f} s")
        time.sleep(0.05)


def _forget(served: Server) -> float:
    """Wait until nothing is left of the job that has ended, and return seconds from its going to its last row."""
    _wait_until_none(served, "select count(*) from jobs")
    began = time.monotonic()
    _wait_until_none(served, "select count(*) from forgotten")
    return time.monotonic() - began


def _run(served: Server, probe: Probe, parts: int) -> dict[str, float]:
    """The job runs to its end, as many parts at once as there is room for."""
    began, cpu = time.monotonic(), served.cpu_ms()
    state = _wait_for_end(served, _submit(served, parts, HALF_A_CORE))
    seconds, cpu = time.monotonic() - began, served.cpu_ms() - cpu
    if state != "Completed":
        raise RuntimeError(f"the job is {state}")
    return {"run_per_second": parts / seconds, "run_cpu_ms": cpu / parts, **probe.take("run")}


def _stop(served: Server, probe: Probe, nodes: Handle, parts: int) -> dict[str, float]:
    """The job is stopped while all its parts run, until every node has told their ends."""
    nodes.ask(Plan(NODES))
    before = nodes.ask("state")["asks"]
    began, cpu = time.monotonic(), served.cpu_ms()
    job_id = _submit(served, parts, TASK)
    wait_for(nodes, before + parts, PATIENCE)
    placed = {
        "start_per_second": parts / (time.monotonic() - began),
        "start_cpu_ms": (served.cpu_ms() - cpu) / parts,
        "live_mb": served.resident_mb(),
        **probe.take("start"),
    }
    began, cpu = time.monotonic(), served.cpu_ms()
    ask(served.url, "DELETE", f"/orchestrator/jobs/{job_id}")
    answered = time.monotonic() - began
    _wait_until_none(served, "select count(*) from executions where is_live = 1")
    cancelled = time.monotonic() - began
    while nodes.ask("state")["running"] or _count(served, "select count(*) from outbox"):
        time.sleep(0.05)
    return placed | {
        "stop_answer_s": answered,
        "stop_cancelled_s": cancelled,
        "stop_s": time.monotonic() - began,
        "stop_cpu_ms": (served.cpu_ms() - cpu) / parts,
        **probe.take("stop"),
    }


def measure(parts: int = PARTS) -> dict[str, float]:
    figures: dict[str, float] = {"parts": parts, "nodes": NODES}
    with (
        orchestrator(*SETTINGS) as served,
        fleet(served.nats_url, Plan(NODES, seconds=0.0)) as nodes,
        probing(served.url, served.pid) as probe,
    ):
        figures |= {"before_mb": served.resident_mb()} | _run(served, probe, parts)
        figures |= {"run_mb": served.resident_mb(), "forget_s": _forget(served)} | probe.take("forget")
        figures |= {"forgotten_mb": served.resident_mb()} | _stop(served, probe, nodes, parts)
        figures |= {"stop_mb": served.resident_mb(), "forget_stopped_s": _forget(served)}
        figures |= probe.take("forget_stopped") | {"after_mb": served.resident_mb()}
    return figures


if __name__ == "__main__":
    for name, value in measure(*map(int, sys.argv[1:])).items():
        print(f"{name:28}{value:12.2f}")
