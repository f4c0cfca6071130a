"""Containers: the time from submission to Completed beside `docker run --rm`, and bursts on one small node."""

import json
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bacalhau.app.dockerd import find_docker
from benchmarks.server import Server, server

ROUNDS = 20
DOCKER = "/usr/bin/docker"


def _call(served: Server, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        served.url + path, method=method, data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def run_job(served: Server, image: str) -> str:
    """One no-op container to its end; the job's last state."""
    task = {"Name": "main", "Engine": {"Type": "docker", "Params": {"Image": image, "Parameters": ["true"]}}}
    job_id = _call(served, "PUT", "/orchestrator/jobs", {"Job": {"Type": "batch", "Count": 1, "Tasks": [task]}})[
        "JobID"
    ]
    state = ""
    while state not in ("Completed", "Failed", "Stopped"):
        state = _call(served, "GET", f"/orchestrator/jobs/{job_id}?wait=30")["Job"]["State"]["StateType"]
    return state


@contextmanager
def docker_server() -> Iterator[Server]:
    url = find_docker()
    if url is None:
        raise RuntimeError("no Docker API: `make bench` starts one only where tests.support.machine can")
    with server(DOCKER_HOST=url) as served:
        yield served


def measure_latency(image: str) -> dict[str, float]:
    """Medians in ms of ROUNDS interleaved runs."""
    ours, peer = [], []
    with docker_server() as served:
        run_job(served, image)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            if run_job(served, image) != "Completed":
                raise RuntimeError("a container did not complete")
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            subprocess.run([DOCKER, "run", "--rm", image, "true"], check=True)
            peer.append(time.perf_counter() - began)
    mine, theirs = 1000 * statistics.median(ours), 1000 * statistics.median(peer)
    return {"ours_ms": mine, "docker_run_ms": theirs, "ratio": mine / theirs}


def measure_burst(image: str) -> dict[str, float]:
    """Three rounds of 40 containers, 16 clients."""
    began = time.perf_counter()
    with docker_server() as served, ThreadPoolExecutor(16) as pool:
        states = [state for _ in range(3) for state in pool.map(lambda _: run_job(served, image), range(40))]
    return {"completed": states.count("Completed"), "of": len(states), "seconds": time.perf_counter() - began}
