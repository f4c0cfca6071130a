"""The parts of the benchmark: each measures one thing and gives its rows of the table in docs/figures.md."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from bacalhau.config.schema import Config
from benchmarks import noop
from benchmarks.api import measure_finished, measure_load, measure_polling
from benchmarks.containers import measure_burst, measure_latency
from benchmarks.inventory import measure as measure_inventory
from benchmarks.large import measure as measure_large
from benchmarks.line import measure as measure_line
from benchmarks.machine import measure as measure_machine
from benchmarks.placement import measure_deaths, measure_placements, measure_recovery
from benchmarks.restart import measure as measure_restart


class Row(NamedTuple):
    """One line of the table. A dash stands where nobody else has such a figure."""

    figure: str
    here: str
    peer: str = "–"
    original: str = "–"


class Part(NamedTuple):
    """A part of the benchmark. `rows` takes the name of an image with a shell, or "" where `docker` is False."""

    rows: Callable[[str], Iterator[Row]]
    docker: bool = False


def choose(names: str) -> dict[str, Part]:
    """Choose parts by a comma list of their names, in the table's order; the empty text chooses all.

    Raises ValueError naming what is unknown and what is known.
    """
    wanted = {name.strip() for name in names.split(",")} - {""}
    if unknown := sorted(wanted - PARTS.keys()):
        raise ValueError(f"ONLY={names}: no part is called {', '.join(unknown)}. Known are {', '.join(PARTS)}")
    return {name: part for name, part in PARTS.items() if name in wanted or not wanted}


def _machine(_: str) -> Iterator[Row]:
    found = measure_machine()
    yield Row(
        "this machine: a million steps of a loop in Python / `python -c pass` / 8 KB written to the disk",
        f"{found['loop_ms']:.0f} / {found['start_ms']:.0f} / {found['sync_ms']:.1f} ms",
    )


def _latency(image: str) -> Iterator[Row]:
    found = measure_latency(image)
    yield Row(
        "submit → Completed of an idle no-op container, over `docker run --rm` (interleaved, medians)",
        f"{found['ratio']:.2f} × ({found['ours_ms']:.0f} ms)",
        f"1 × ({found['docker_run_ms']:.0f} ms)",
        "1.06–1.11 ×",
    )


_noop = cache(noop.measure)  # one run gives two parts


def _small_jobs(_: str) -> Iterator[Row]:
    found = _noop()
    yield Row(
        "small jobs without a container, whole, durable: 16 / 32 clients",
        f"{found['per_second_16']:.0f} / {found['per_second_32']:.0f} a second, {found['cpu_ms']:.2f} ms of the"
        " server's processor each",
        original="17–29 a second",
    )


def _memory(_: str) -> Iterator[Row]:
    found = _noop()
    yield Row(
        f"resident memory, server with its message server: idle / after {found['after_jobs']:.0f} jobs",
        f"{found['idle_mb']:.0f} / {found['after_mb']:.0f} MB",
        original="78 MB / 5.4 GB after 1,400",
    )


def _burst(image: str) -> Iterator[Row]:
    found = measure_burst(image)
    yield Row(
        "3 rounds of 40 containers, 16 clients",
        f"{found['completed']:.0f} of {found['of']:.0f} in {found['seconds']:.0f} s",
        original="40–65 of 120",
    )


def _staging(_: str) -> Iterator[Row]:
    found = _last_json(["benchmarks/staging.py", "3"])
    yield _stage_row("staging 2,000 × 10 KB from S3", found["small"], "7.2–8.1 s")
    yield _stage_row("staging 4 × 256 MB from S3", found["large"], "2.6–3.1 s")


def _stage_row(figure: str, clients: dict[str, dict[str, float]], original: str) -> Row:
    ours, s5cmd, boto3 = clients["ours"], clients["s5cmd"], clients["boto3"]
    mine = f"{ours['s']:.2f} s, {ours['s'] / s5cmd['s']:.2f} × s5cmd, {ours['MB']:.0f} MB"
    return Row(figure, mine, f"s5cmd {s5cmd['s']:.2f} s, boto3 {boto3['s']:.2f} s", original)


_PUBLISHING = (
    ("publishing {many} to S3, each an object", "plain", {"s5cmd": "plain-s5cmd"}),
    ("… as one archive", "archive", {"tar, gzip, s5cmd": "archive-tar"}),
    ("publishing {large} to S3", "large", {"s5cmd": "large-s5cmd", "boto3": "large-boto3"}),
    ("staging {many} from S3", "stage", {"s5cmd": "get-s5cmd"}),
    ("… into the node's cache", "stage-first", {"s5cmd": "get-s5cmd"}),
    ("… once more, from the node's cache", "stage-again", {"s5cmd": "get-s5cmd"}),
    ("`get` of {many} from S3", "get", {"s5cmd": "get-s5cmd"}),
    ("… of one archive", "get-archive", {"s5cmd, tar": "get-archive-tar"}),
    ("… of {large}", "get-large", {"s5cmd": "get-large-s5cmd"}),
    ("publishing {many} to IPFS", "ipfs-many", {"Kubo": "ipfs-many-kubo"}),
    ("publishing {large} to IPFS", "ipfs-large", {"Kubo": "ipfs-large-kubo"}),
    ("`get` of {many} from IPFS", "get-ipfs", {"Kubo": "get-ipfs-kubo"}),
)


def _publishing(_: str) -> Iterator[Row]:
    found = _last_json(["-m", "benchmarks.publishing"])
    sizes = found["sizes"]
    many, large = f"{sizes['files']:,.0f} × {_size(sizes['file_bytes'])}", _size(sizes["large_bytes"])
    for figure, name, peers in _PUBLISHING:
        mine = found[name]
        here = f"{mine['s']:.1f} s, {mine['cpu_s']:.1f} s of processor; + {mine['mb']:.0f} MB, temporary"
        theirs = (f"{peer} {found[key]['s']:.1f} s" + _processor(found[key]) for peer, key in peers.items())
        yield Row(figure.format(many=many, large=large), f"{here} {mine['disk_mb']:.0f} MB", "; ".join(theirs))


def _size(count: float) -> str:
    """Write bytes as the table has them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:g} MB" if count >= 1e6 else f"{count / 1e3:g} KB"


def _processor(figures: dict[str, float]) -> str:
    return f", {figures['cpu_s']:.1f} s of processor" if "cpu_s" in figures else ""


def _inventory(_: str) -> Iterator[Row]:
    found = measure_inventory()
    yield Row(
        f"inventory of {found['keys']:,.0f} keys under one prefix, kept and shared out",
        f"{found['s']:.0f} s, {found['cpu_s']:.0f} s of processor; {found['idle_mb']:.0f} → {found['most_mb']:.0f} MB",
        f"`s5cmd ls` alone {found['peer_s']:.0f} s, {found['peer_cpu_s']:.0f} s of processor",
    )
    yield Row(
        "“alive?” asked every 10 ms meanwhile: p99 / longest / longest but for waits for a processor",
        f"{found['list_alive_p99_ms']:.0f} / {found['list_alive_max_ms']:.0f} / {found['list_pause_ms']:.0f} ms",
    )


def _startup(_: str) -> Iterator[Row]:
    found = _last_json(["benchmarks/startup.py"])
    yield Row(
        "`--help` of any command",
        f"{found['worst_ms']:.0f} ms, {found['ratio']:.1f} × Python itself",
        f"`python -c pass` {found['python_ms']:.0f} ms",
        "30 ms",
    )


def _last_json(arguments: list[str]) -> Any:
    """Run a benchmark that is a program of its own and read the last line it prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def _placement(_: str) -> Iterator[Row]:
    found = measure_placements()
    yield Row(
        "placements with 1,000 simulated nodes: jobs of 100 parts / of one, submitted over HTTP",
        f"{found['hundreds']:.0f} / {found['singles']:.0f} a second, {found['hundreds_cpu_ms']:.2f} /"
        f" {found['singles_cpu_ms']:.2f} ms of the server's processor each",
        "Kubernetes' scheduler: 680–1,100 a second, published",
    )


def _line(_: str) -> Iterator[Row]:
    found = measure_line()
    yield Row(
        "1,000 full nodes, 5,000 jobs waiting: one ends, the next starts; longest step / garbage collection",
        f"{found['ends_and_starts_per_cpu_second']:.0f} a CPU second, {found['longest_step_ms']:.0f} /"
        f" {found['longest_collection_ms']:.0f} ms",
    )
    few, many = found["submission_ms_100_nodes"], found["submission_ms_10000_nodes"]
    yield Row("processor time of a submission with its placement: 100 / 10,000 nodes", f"{few:.2f} / {many:.2f} ms")


def _large(_: str) -> Iterator[Row]:
    found = measure_large()
    what = f"one job of {found['parts']:,.0f} parts on {found['nodes']:.0f} simulated nodes"
    yield Row(
        f"{what}, 32 at once on each: from its submission to its end",
        f"{found['run_per_second']:.0f} parts a second, {found['run_cpu_ms']:.2f} ms of the server's processor each",
    )
    yield Row(
        f"{what}, all at once: started / stopped, until the last node has told the end",
        f"{found['start_per_second']:.0f} / {found['parts'] / found['stop_s']:.0f} parts a second,"
        f" {found['start_cpu_ms']:.2f} / {found['stop_cpu_ms']:.2f} ms of the server's processor each",
    )
    yield Row(
        "“alive?” asked every 10 ms meanwhile: p99 / longest / longest but for waits for a processor, while it runs,"
        " starts, stops and is forgotten",
        ", ".join(
            f"{found[f'{name}_alive_p99_ms']:.0f} / {found[f'{name}_alive_max_ms']:.0f} /"
            f" {found[f'{name}_pause_ms']:.0f} ms"
            for name in ("run", "start", "stop", "forget_stopped")
        ),
    )
    yield Row(
        "resident memory: before / with all parts running / when both jobs are forgotten",
        f"{found['before_mb']:.0f} / {found['live_mb']:.0f} / {found['after_mb']:.0f} MB",
    )


def _deaths(_: str) -> Iterator[Row]:
    found = measure_deaths()
    yield Row(
        f"{found['jobs']:,} no-op jobs on 100 simulated nodes while two nodes a second die for good",
        f"{found['completed']:,} completed in {found['seconds']:.0f} s, {found['deaths']} deaths",
        original="33–36 of 40 after one kill",
    )


def _recovery(_: str) -> Iterator[Row]:
    found = measure_recovery()
    grace = Config().orchestrator.node_manager.lost_grace
    yield Row(
        "from a node's death until all it had is on other nodes",
        f"{found['last_s']:.1f} s, of which {grace:.0f} s are the grace for its return",
        original="80.4 s",
    )


def _restart(_: str) -> Iterator[Row]:
    found = measure_restart()
    yield Row(
        f"kill -9 with {found['jobs']:,} running jobs: until the API answers / all were evaluated",
        f"{found['answers_s']:.1f} / {found['placed_s']:.1f} s, {found['after_mb']:.0f} MB",
        original="queued jobs stay queued for ever",
    )


def _load(_: str) -> Iterator[Row]:
    found = measure_load()
    yield Row(
        "get one job, list ten, while 16 clients run small jobs: p50 / p99",
        f"{found['get_p50_ms']:.0f} / {found['get_p99_ms']:.0f} ms, {found['list_p50_ms']:.0f} /"
        f" {found['list_p99_ms']:.0f} ms",
    )


def _polling(_: str) -> Iterator[Row]:
    found = measure_polling()
    yield Row(
        "32 clients that poll as fast as they can",
        f"{found['per_second']:,.0f} answers a second, {found['refused']:.0f} refused",
        original="answers 429",
    )


def _full_store(_: str) -> Iterator[Row]:
    found = measure_finished()
    jobs = found["full_jobs_per_second"] / found["empty_jobs_per_second"]
    lists = found["full_list_ms"] / found["empty_list_ms"]
    yield Row(
        "100,000 finished jobs in the store, over an empty one (in turn, medians)",
        f"{jobs:.2f} × the jobs a second, {lists:.2f} × the time of a list ({found['full_list_ms']:.1f} ms)",
        "1 ×",
    )


PARTS = {
    "machine": Part(_machine),
    "latency": Part(_latency, docker=True),
    "small-jobs": Part(_small_jobs),
    "memory": Part(_memory),
    "burst": Part(_burst, docker=True),
    "staging": Part(_staging),
    "publishing": Part(_publishing),
    "inventory": Part(_inventory),
    "startup": Part(_startup),
    "placement": Part(_placement),
    "line": Part(_line),
    "large": Part(_large),
    "deaths": Part(_deaths),
    "recovery": Part(_recovery),
    "restart": Part(_restart),
    "load": Part(_load),
    "polling": Part(_polling),
    "full-store": Part(_full_store),
}
