"""`make bench`: every figure of the README in one run on one machine, each beside its peer, as the README's table."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bacalhau.app.dockerd import docker_available, ensure_image
from benchmarks import cluster
from benchmarks.cluster import Row
from benchmarks.containers import measure_burst, measure_latency
from benchmarks.noop import measure as measure_noop


def rows(image: str) -> Iterator[Row]:
    latency = measure_latency(image)
    yield (
        "submit → Completed of an idle no-op container, over `docker run --rm` (interleaved, medians)",
        f"{latency['ratio']:.2f} × ({latency['ours_ms']:.0f} ms)",
        f"1 × ({latency['docker_run_ms']:.0f} ms)",
        "1.06–1.11 ×",
    )
    noop = measure_noop()
    yield (
        "small jobs without a container, whole, durable: 16 / 32 clients",
        f"{noop['per_second_16']:.0f} / {noop['per_second_32']:.0f} a second",
        "–",
        "17–29 a second",
    )
    yield (
        f"resident memory, server with its message server: idle / after {noop['after_jobs']:.0f} jobs",
        f"{noop['idle_mb']:.0f} / {noop['after_mb']:.0f} MB",
        "–",
        "78 MB / 5.4 GB after 1,400",
    )
    burst = measure_burst(image)
    yield (
        "3 rounds of 40 containers, 16 clients",
        f"{burst['completed']:.0f} of {burst['of']:.0f} in {burst['seconds']:.0f} s",
        "–",
        "40–65 of 120",
    )
    staging = _staging()
    yield _stage_row("staging 2,000 × 10 KB from S3", staging["small"], "7.2–8.1 s")
    yield _stage_row("staging 4 × 256 MB from S3", staging["large"], "2.6–3.1 s")
    startup = _startup()
    yield (
        "`--help` of any command",
        f"{startup['worst_ms']:.0f} ms, {startup['ratio']:.1f} × Python itself",
        f"`python -c pass` {startup['python_ms']:.0f} ms",
        "30 ms",
    )
    yield from cluster.rows()


def _stage_row(figure: str, clients: dict[str, dict[str, float]], original: str) -> Row:
    ours, s5cmd, boto3 = clients["ours"], clients["s5cmd"], clients["boto3"]
    mine = f"{ours['s']:.2f} s, {ours['s'] / s5cmd['s']:.2f} × s5cmd, {ours['MB']:.0f} MB"
    return figure, mine, f"s5cmd {s5cmd['s']:.2f} s, boto3 {boto3['s']:.2f} s", original


def _staging() -> dict[str, dict[str, dict[str, float]]]:
    figures: dict[str, dict[str, dict[str, float]]] = _last_json(["benchmarks/staging.py", "3"])
    return figures


def _startup() -> dict[str, float]:
    figures: dict[str, float] = _last_json(["benchmarks/startup.py"])
    return figures


def _last_json(arguments: list[str]) -> Any:
    """What a benchmark that is a program of its own prints last."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def show(table: Iterable[Row]) -> None:
    """Each row when it is measured."""
    print("| figure | here | peer | the original 1.9.3 |\n|---|---|---|---|", flush=True)
    for row in table:
        print("| " + " | ".join(row) + " |", flush=True)


async def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with docker_available(Path(folder), print) as url:
            os.environ["DOCKER_HOST"] = (
                url  # for the servers and the peer alike, also where the daemon is a private one
            )
            image = await ensure_image(url, print)
            await asyncio.to_thread(show, rows(image))


asyncio.run(main())
