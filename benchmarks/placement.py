"""The scheduler with many nodes: placements a second with 1,000 of them, and 10,000 jobs on 100 nodes that die all the
time.

A placement counts when the node has its execution. Nodes are simulated: real connections and messages, nothing runs.
"""

import asyncio
import json
import multiprocessing
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.fleet import Handle, Plan, fleet
from benchmarks.noop import ENDS, TASK, Connection
from benchmarks.server import Server, orchestrator

CLIENTS = 32
PLACEMENTS = 10_000


async def _submit_many(url: str, bodies: list[bytes]) -> list[str]:
    waiting, ids = iter(bodies), []

    async def client() -> None:
        async with Connection(url) as connection:
            for body in waiting:
                ids.append(json.loads(await connection.ask("PUT", "/orchestrator/jobs", body))["JobID"])

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return ids


def submit(url: str, count: int, instances: int = 1) -> list[str]:
    job = {"Type": "batch", "Count": instances, "Tasks": [TASK]}
    return asyncio.run(_submit_many(url, [json.dumps({"Job": job}).encode()] * count))


async def _states(url: str, ids: list[str]) -> list[str]:
    async with Connection(url) as connection:
        return [
            json.loads(await connection.ask("GET", f"/orchestrator/jobs/{job_id}"))["Job"]["State"]["StateType"]
            for job_id in ids
        ]


def states(url: str, ids: list[str]) -> list[str]:
    return asyncio.run(_states(url, ids))


def wait_for(nodes: Handle, asks: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while nodes.ask("state")["asks"] < asks:
        if time.monotonic() > end:
            raise RuntimeError(f"only {nodes.ask('state')} of {asks} placements after {seconds} s")
        time.sleep(0.02)


def _place(served: Server, nodes: Handle, jobs: int, instances: int) -> tuple[float, float]:
    """Placements a second, from the first submission to the last node that has its execution, and ms of the server's
    processor for each.
    """
    before = nodes.ask("state")["asks"]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        began, cpu = time.monotonic(), served.cpu_ms()
        pool.apply(submit, (served.url, jobs, instances))
        wait_for(nodes, before + jobs * instances, 300)
        placed = jobs * instances
        return placed / (time.monotonic() - began), (served.cpu_ms() - cpu) / placed


def measure_placements(count: int = 1000) -> dict[str, float]:
    with orchestrator() as served, fleet(served.nats_url, Plan(count)) as nodes:
        singles, singles_cpu = _place(served, nodes, PLACEMENTS // 2, 1)
        hundreds, hundreds_cpu = _place(served, nodes, PLACEMENTS // 100, 100)
    return {
        "singles": singles,
        "singles_cpu_ms": singles_cpu,
        "hundreds": hundreds,
        "hundreds_cpu_ms": hundreds_cpu,
    }


def measure_deaths(jobs: int = 10_000, count: int = 100) -> dict[str, Any]:
    """Two nodes a second lose everything they have and never come back; each is followed by a new one."""
    settings = ("Orchestrator.NodeManager.LostGrace=3s",)
    with orchestrator(*settings) as served, fleet(served.nats_url, Plan(count, seconds=0.5, deaths=2)) as nodes:
        began = time.monotonic()
        ids = submit(served.url, jobs)
        left, ended = ids, Counter[str]()
        while left and time.monotonic() - began < 600:
            time.sleep(0.2)
            now = dict(zip(left, states(served.url, left), strict=True))
            left = [job_id for job_id, state in now.items() if state not in ENDS]
            ended.update(state for state in now.values() if state in ENDS)
        state, seconds = nodes.ask("state"), time.monotonic() - began
        return {
            "jobs": jobs,
            "completed": ended["Completed"],
            "seconds": seconds,
            "deaths": state["deaths"],
            "placements": state["asks"],
            "ends": dict(ended),
        }


def measure_recovery() -> dict[str, float]:
    """Seconds from a node's death until its last execution is on another node, with the settings everybody has."""
    with orchestrator() as served, fleet(served.nats_url, Plan(10)) as nodes:
        submit(served.url, 100)
        wait_for(nodes, 100, 60)
        _, jobs, died = nodes.ask("kill")
        wait_for(nodes, 100 + len(jobs), 200)
        times = nodes.ask("times")["times"]
        delays = [times[job_id] - died for job_id in jobs]
        return {"executions": len(jobs), "first_s": min(delays), "last_s": max(delays)}


if __name__ == "__main__":
    what = {"placements": measure_placements, "deaths": measure_deaths, "recovery": measure_recovery}
    for name in sys.argv[1:] or what:
        print(name, what[name]())
