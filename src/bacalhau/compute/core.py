"""A compute node: what its parts share."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bacalhau.compute.state.ahead import PagesAhead
from bacalhau.compute.state.cache import InputCache
from bacalhau.compute.state.capacity import Capacity
from bacalhau.compute.state.kept import Kept
from bacalhau.compute.state.policy import Admission
from bacalhau.compute.state.ports import PortPool
from bacalhau.compute.state.prefetches import Prefetches
from bacalhau.compute.state.printed import Shipping
from bacalhau.compute.state.specs import FetchedJobs
from bacalhau.compute.state.stages import Stages
from bacalhau.lib.aio import Crew, Signal
from bacalhau.lib.clock import now_ns
from bacalhau.lib.numbered import Numbers
from bacalhau.lib.outbox import Lane, Letter
from bacalhau.lib.patience import USUAL, Patience
from bacalhau.lib.wire import Model
from bacalhau.models.job.job import Job
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.node.node import NodeInfo
from bacalhau.ports.bus import NodeBus
from bacalhau.ports.engine import Engine
from bacalhau.ports.guard import list_objections, list_task_objections
from bacalhau.ports.journal import Journal
from bacalhau.ports.publisher import Publisher
from bacalhau.ports.storage import Storage

FINISHED = "finished"
"""The journal's word for an execution that has ended, and of which nothing but what it printed is kept."""


@dataclass(frozen=True)
class Plugins:
    """The plug-ins of this node, by lower-case type name."""

    engines: Mapping[str, Engine]
    sources: Mapping[str, Storage]
    publishers: Mapping[str, Publisher]

    def list_objections(self, job: Job) -> list[str]:
        """List why this node does not run a job's task, or does not open its inputs and results to its namespace."""
        task = job.task
        engine = self.engines.get(task.engine.kind)
        own = list_task_objections(engine, task.engine.params or {}, task.network or NetworkConfig())
        return [*own, *self.list_input_objections(job), *self.list_result_objections(job)]

    def list_input_objections(self, job: Job) -> list[str]:
        """List why inputs of a job are not open to its namespace on this node."""
        return [
            text
            for source in (each.source for each in job.task.input_sources or ())
            for text in list_objections(self.sources.get(source.kind), source, job.namespace)
        ]

    def list_result_objections(self, job: Job) -> list[str]:
        """List why the place of a job's results is not open to its namespace on this node."""
        publisher = self.publishers.get(job.task.publisher_type)
        return list_objections(publisher, job.task.publisher or SpecConfig(), job.namespace)


@dataclass
class Running:
    """An execution in hand: either a `scope` that can be cut short, or an engine that can be told to stop.

    `give_up` cancels it.
    """

    give_up: Callable[[], Awaitable[None]]
    engine: Engine | None = None
    scope: asyncio.Timeout | None = None
    cancelled: bool = False
    timed_out: bool = False
    exit_code: int = -1

    def cut_short(self) -> None:
        """End the stage that has no engine; it raises TimeoutError."""
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(asyncio.get_running_loop().time())


class PendingReport(NamedTuple):
    """A message to the orchestrator that is in the journal until it is acknowledged."""

    seq: int
    type: str
    message: Model
    execution_id: str

    @property
    def letter(self) -> "Letter[PendingReport]":
        """The report as its lane takes it."""
        return Letter(self.seq, self.execution_id, self)


@dataclass
class ComputeNode:
    """`folder` holds one directory per execution; `heartbeat`, `info_interval` and `read_timeout` (finding out what a
    source holds) are seconds.

    `told` is what the orchestrator knows about this node; `is_fenced`: it is to be asked before anything is published.
    `talking` is held by the one handshake, heartbeat or description that is under way. `doubt` is set when an engine
    that is told as working could not be reached.
    `max_interruptions`: how often an execution is taken up again after the process ended without an orderly stop.
    `keep_unpublished`: seconds for which the outputs are kept of what ran and was not published, 0 not at all; `kept`
    are these, the oldest first.
    `address` is where others reach the tasks' ports. What has ended is remembered for `keep_seconds`, and of that the
    newest `keep_records`; 0 is no limit. `task_disk` is how many bytes the inputs and results of a task may take that
    asks for no disk. `patience` is that with stores which do not take a result. `cache` holds inputs of earlier tasks,
    and `prefetches` bring those of the next ones into it. `ahead` are pages of listings that are asked for next.
    """

    node_id: str
    folder: Path
    journal: Journal
    bus: NodeBus
    plugins: Plugins
    capacity: Capacity
    crew: Crew
    admission: Admission = field(default_factory=Admission)
    pool: PortPool = field(default_factory=PortPool)
    address: str = "127.0.0.1"
    labels: Mapping[str, str] = field(default_factory=dict)
    heartbeat: float = 15.0
    info_interval: float = 60.0
    read_timeout: float = 300.0
    keep_seconds: float = 86_400.0
    keep_records: int = 10_000
    keep_unpublished: float = 86_400.0
    kept: dict[str, Kept] = field(default_factory=dict)
    task_disk: int = 16_000_000_000
    max_interruptions: int = 3
    patience: Patience = USUAL
    cache: InputCache | None = None
    prefetches: Prefetches = field(default_factory=Prefetches)
    running: dict[str, Running] = field(default_factory=dict)
    gpu_problems: Mapping[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    cures: dict[str, str] = field(default_factory=dict)
    reports: Lane[PendingReport] = field(default_factory=Lane)
    ended: Signal = field(default_factory=Signal)
    joined: Signal = field(default_factory=Signal)
    told: NodeInfo | None = None
    is_fenced: bool = False
    talking: asyncio.Lock = field(default_factory=asyncio.Lock)
    doubt: asyncio.Event = field(default_factory=asyncio.Event)
    fetched: FetchedJobs = field(default_factory=FetchedJobs)
    shipping: Shipping = field(default_factory=Shipping)
    started: int = field(default_factory=now_ns)
    numbers: Numbers = field(default_factory=Numbers)
    stages: Stages = field(default_factory=Stages)
    ahead: PagesAhead = field(default_factory=PagesAhead)

    @property
    def missing_engines(self) -> set[str]:
        """The engines of this node that the orchestrator knows as not working."""
        return (
            set() if self.told is None else self.plugins.engines.keys() - set(self.told.compute.execution_engines or ())
        )

    def doubt_engine(self, name: str) -> None:
        """Have the plug-ins checked at once, because an execution could not reach this engine."""
        if name not in self.missing_engines:
            self.doubt.set()

    def disk_of(self, granted: Resources) -> int:
        """Return how many bytes the inputs and results of a task may take."""
        return granted.disk or self.task_disk

    def execution_folder(self, execution_id: str) -> Path:
        return self.folder / execution_id
