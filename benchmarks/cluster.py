"""The rows of the README's table about many nodes, many jobs and many clients."""

from collections.abc import Iterator

from bacalhau.config.schema import Config
from benchmarks.api import measure_finished, measure_load, measure_polling
from benchmarks.placement import measure_deaths, measure_placements, measure_recovery
from benchmarks.restart import measure as measure_restart

Row = tuple[str, str, str, str]


def rows() -> Iterator[Row]:
    for measured in (_placements, _deaths, _recovery, _restart, _load, _polling, _finished):
        yield measured()


def _placements() -> Row:
    found = measure_placements()
    return (
        "placements with 1,000 simulated nodes: jobs of 100 parts / of one, submitted over HTTP",
        f"{found['hundreds']:.0f} / {found['singles']:.0f} a second",
        "Kubernetes' scheduler: 680–1,100 a second, published",
        "–",
    )


def _deaths() -> Row:
    found = measure_deaths()
    return (
        f"{found['jobs']:,} no-op jobs on 100 simulated nodes while two nodes a second die for good",
        f"{found['completed']:,} completed in {found['seconds']:.0f} s, {found['deaths']} deaths",
        "–",
        "33–36 of 40 after one kill",
    )


def _recovery() -> Row:
    found = measure_recovery()
    grace = Config().orchestrator.node_manager.lost_grace
    return (
        "from a node's death until all it had is on other nodes",
        f"{found['last_s']:.1f} s, of which {grace:.0f} s are the grace for its return",
        "–",
        "80.4 s",
    )


def _restart() -> Row:
    found = measure_restart()
    ours = f"{found['answers_s']:.1f} / {found['placed_s']:.1f} s, {found['after_mb']:.0f} MB"
    return (
        f"kill -9 with {found['jobs']:,} running jobs: until the API answers / all were looked at",
        ours,
        "–",
        "queued jobs stay queued for ever",
    )


def _load() -> Row:
    found = measure_load()
    ours = (
        f"{found['get_p50_ms']:.0f} / {found['get_p99_ms']:.0f} ms, {found['list_p50_ms']:.0f} /"
        f" {found['list_p99_ms']:.0f} ms"
    )
    return "get one job, list ten, while 16 clients run small jobs: p50 / p99", ours, "–", "–"


def _polling() -> Row:
    found = measure_polling()
    return (
        "32 clients that poll as fast as they can",
        f"{found['per_second']:,.0f} answers a second, {found['refused']:.0f} refused",
        "–",
        "answers 429",
    )


def _finished() -> Row:
    found = measure_finished()
    jobs, lists = (
        found["full_jobs_per_second"] / found["empty_jobs_per_second"],
        found["full_list_ms"] / found["empty_list_ms"],
    )
    ours = f"{jobs:.2f} × the jobs a second, {lists:.2f} × the time of a list ({found['full_list_ms']:.1f} ms)"
    return "100,000 finished jobs in the store, over an empty one (in turn, medians)", ours, "1 ×", "–"
