"""The metrics of this process in Prometheus' text format.

Nearly all are read where they are known anyway, when somebody asks. Labels have few values: names of states, stages and
routes, never ids or texts of users. The page "Monitoring" of the documentation explains each metric.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.state.cache import InputCache
from bacalhau.lib.clock import now_ns
from bacalhau.lib.meter import Histogram, LoopLag
from bacalhau.lib.outbox import Settled, Verdict
from bacalhau.models.node.node import CONNECTED
from bacalhau.models.node.version import this_version
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.ports.figures import OpenCounts, Watched

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # read by every Prometheus
SECOND = 1_000_000_000
METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"})
ELSEWHERE = "other"
_OUTCOMES = {Verdict.TAKEN: "acknowledged", Verdict.LATER: "retried", Verdict.NEVER: "rejected"}
_ENDS = ("Completed", "Failed", "Stopped")
_EXECUTION_ENDS = ("Completed", "Failed", "Cancelled")


class Traffic:
    """Answers of the API, counted by method, route and status."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str, int]] = Counter()

    def note(self, scope: Mapping[str, Any], status: int) -> None:
        """Count an answer. Paths that lead nowhere have one name together, as have unknown methods."""
        method = scope.get("method", "GET")
        route = ELSEWHERE if status == 404 else scope.get("path_template") or ELSEWHERE
        self.answers[method if method in METHODS else ELSEWHERE, route, status] += 1


class Metrics:
    """All metrics of one process: of its API, and of its orchestrator and its node where it has them."""

    def __init__(self, orch: Orchestrator | None, node: ComputeNode | None) -> None:
        self.traffic, self.lag = Traffic(), LoopLag()
        self._orch, self._node = orch, node
        self._process = ProcessCollector(registry=CollectorRegistry())

    async def render(self) -> bytes:
        """Write all metrics as they are now. Raises Unavailable where the store cannot be read."""
        counts = await self._orch.store.count_open() if self._orch else OpenCounts({}, {})
        return generate_latest(_Page([*self._families(counts), *self._process.collect()]))

    def _families(self, counts: OpenCounts) -> Iterator[Metric]:
        yield _labelled(GaugeMetricFamily, "build_info", "The build of this process.", "version", _version())
        yield _api_requests(self.traffic)
        yield _histograms("event_loop_lag_seconds", "Lateness of the event loop.", "", {"": self.lag.seconds})
        yield from _stores(self._stores())
        yield from _messages(self._outboxes())
        if self._orch:
            yield from _orchestrator(self._orch, counts)
        if self._node:
            yield from _node(self._node)
            if self._node.cache:
                yield from _cache(self._node.cache)

    def _stores(self) -> dict[str, Watched]:
        found: dict[str, Watched] = {}
        if self._orch:
            found["orchestrator"] = self._orch.store
        if self._node:
            found["journal"] = self._node.journal
        return found

    def _outboxes(self) -> dict[str, tuple[Settled[Any], int]]:
        found: dict[str, tuple[Settled[Any], int]] = {}
        if self._orch:
            found["orchestrator"] = (self._orch.outbox.settled, self._orch.outbox.waiting)
        if self._node:
            found["node"] = (self._node.reports.settled, self._node.reports.waiting)
        return found


class _Page(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _version() -> dict[str, float]:
    return {this_version().git_version: 1.0}


def _plain(kind: type[GaugeMetricFamily] | type[CounterMetricFamily], name: str, text: str, value: float) -> Metric:
    return kind(f"bacalhau_{name}", text, value=value)


def _labelled(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    text: str,
    label: str,
    values: Mapping[str, float],
) -> Metric:
    family = kind(f"bacalhau_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _histograms(name: str, text: str, label: str, found: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(f"bacalhau_{name}", text, labels=[label] if label else [])
    for key, histogram in found.items():
        total, buckets = 0, list[tuple[str, float]]()
        for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([key] if label else [], buckets, histogram.sum)
    return family


def _api_requests(traffic: Traffic) -> Metric:
    text = "Answers of the API; a socket counts when it opens."
    family = CounterMetricFamily("bacalhau_api_requests", text, labels=["method", "route", "status"])
    for (method, route, status), count in traffic.answers.items():
        family.add_metric([method, route, str(status)], count)
    return family


def _stores(found: Mapping[str, Watched]) -> Iterator[Metric]:
    figures = {name: store.figures for name, store in found.items()}
    commits = {name: one.commits for name, one in figures.items()}
    yield _histograms("store_commit_seconds", "Commits to a database, with their flush to the disk.", "store", commits)
    text = "Transactions that were committed; many may share a commit."
    transactions = {name: float(one.transactions) for name, one in figures.items()}
    yield _labelled(CounterMetricFamily, "store_transactions", text, "store", transactions)


def _messages(found: Mapping[str, tuple[Settled[Any], int]]) -> Iterator[Metric]:
    text = "Messages on their way between orchestrator and nodes, by what came of each try."
    family = CounterMetricFamily("bacalhau_messages_sent", text, labels=["sender", "outcome"])
    for sender, (settled, _) in found.items():
        for verdict, outcome in _OUTCOMES.items():
            family.add_metric([sender, outcome], settled.verdicts[verdict])
    yield family
    waiting = {sender: float(count) for sender, (_, count) in found.items()}
    text = "Messages that are not acknowledged yet."
    yield _labelled(GaugeMetricFamily, "messages_waiting", text, "sender", waiting)


def _orchestrator(orch: Orchestrator, counts: OpenCounts) -> Iterator[Metric]:
    tally = orch.tally
    yield _labelled(GaugeMetricFamily, "jobs", "Unfinished jobs.", "state", _floats(counts.jobs))
    yield _plain(CounterMetricFamily, "jobs_submitted", "Jobs that were submitted.", tally.submitted)
    ended = {state: float(tally.jobs[state]) for state in _ENDS}
    yield _labelled(CounterMetricFamily, "jobs_ended", "Jobs that ended, by how.", "state", ended)
    yield _labelled(GaugeMetricFamily, "executions", "Live executions.", "state", _floats(counts.executions))
    yield _plain(CounterMetricFamily, "placements", "Executions that were placed on a node.", tally.placed)
    left = {state: float(tally.executions[state]) for state in {*_EXECUTION_ENDS, *tally.executions}}
    yield _labelled(CounterMetricFamily, "executions_ended", "Executions that ended, by how.", "state", left)
    yield from _queue(orch)
    yield from _nodes(orch)


def _queue(orch: Orchestrator) -> Iterator[Metric]:
    waiting, parked = orch.queue.ages()
    counts = {
        "room": len(waiting),
        "parked": len(parked),
        "quota": orch.cluster.quotas.waiting,
        "inputs": orch.awaited.count,
        "evaluation": orch.queue.ready,
    }
    yield _labelled(GaugeMetricFamily, "queue_jobs", "Jobs that wait, by what for.", "reason", _floats(counts))
    now = now_ns()
    ages = {
        reason: max(0.0, (now - min(since)) / SECOND) if since else 0.0
        for reason, since in (("room", waiting), ("parked", parked))
    }
    text = "Time that the job which has waited longest waits; 0 where none does."
    yield _labelled(GaugeMetricFamily, "queue_oldest_seconds", text, "reason", ages)


def _nodes(orch: Orchestrator) -> Iterator[Metric]:
    compute = [node for node in orch.cluster.nodes() if node.info.node_type == "Compute"]
    there = [node for node in compute if node.connection_state.status == CONNECTED]
    states = {"connected": float(len(there)), "disconnected": float(len(compute) - len(there))}
    yield _labelled(GaugeMetricFamily, "nodes", "Nodes that run jobs.", "state", states)
    offered, reserved = [node.info.compute.max_capacity for node in there], orch.cluster.reserved
    cpu = {"offered": sum(one.cpu for one in offered), "reserved": reserved.cpu}
    yield _labelled(GaugeMetricFamily, "cluster_cpu_cores", "Cores of all nodes that are there.", "state", cpu)
    memory = {"offered": float(sum(one.memory for one in offered)), "reserved": float(reserved.memory)}
    yield _labelled(GaugeMetricFamily, "cluster_memory_bytes", "Memory of all nodes that are there.", "state", memory)
    gpus = {"offered": float(sum(one.gpu for one in offered)), "reserved": float(reserved.gpu)}
    yield _labelled(GaugeMetricFamily, "cluster_gpus", "GPUs of all nodes that are there.", "state", gpus)


def _node(node: ComputeNode) -> Iterator[Metric]:
    text = "Time that a stage of an execution took which ended well."
    yield _histograms("stage_seconds", text, "stage", node.stages.seconds)
    moved = {stage: float(node.stages.bytes[stage]) for stage in ("staging", "publishing")}
    text = "Bytes of inputs that were staged, and of results that were published."
    yield _labelled(CounterMetricFamily, "stage_bytes", text, "stage", moved)
    yield _plain(GaugeMetricFamily, "node_executions", "Executions that this node has in hand.", len(node.running))
    text = "1 while this node is connected to its orchestrator."
    yield _plain(GaugeMetricFamily, "node_connected", text, float(not node.bus.trouble))
    text = "Executions whose results are kept because they could not be published."
    yield _plain(GaugeMetricFamily, "node_kept_results", text, len(node.kept))


def _cache(cache: InputCache) -> Iterator[Metric]:
    use = cache.use
    yield _plain(GaugeMetricFamily, "cache_bytes", "Bytes of inputs in the cache.", cache.total)
    yield _plain(GaugeMetricFamily, "cache_limit_bytes", "Bytes that the cache may hold.", cache.budget)
    files = {"hit": float(use.hits), "miss": float(use.misses)}
    text = "Files that executions wanted: there already, or brought."
    yield _labelled(CounterMetricFamily, "cache_files", text, "outcome", files)
    yield _plain(CounterMetricFamily, "cache_hit_bytes", "Bytes that were there already.", use.hit_bytes)
    yield _plain(CounterMetricFamily, "cache_evictions", "Files that went to make room.", use.evicted)
    yield _plain(CounterMetricFamily, "cache_evicted_bytes", "Bytes that went to make room.", use.evicted_bytes)


def _floats(counts: Mapping[str, int]) -> dict[str, float]:
    return {name: float(count) for name, count in counts.items()}
