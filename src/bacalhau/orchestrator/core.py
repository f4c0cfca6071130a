"""The orchestrator: what its parts share, and the one way in which anything changes."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bacalhau.lib.aio import uninterrupted
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, Conflict
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.plan import Change
from bacalhau.models.job.job import Job
from bacalhau.models.job.overlap import OverlapChecks
from bacalhau.models.job.resources import Resources
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.job.unused import NO_NAMES, ParamNames
from bacalhau.models.job.validate import Divide
from bacalhau.orchestrator.scheduling.place import needed_resources
from bacalhau.orchestrator.scheduling.view import Plan
from bacalhau.orchestrator.state.awaited import Awaited
from bacalhau.orchestrator.state.board import Board
from bacalhau.orchestrator.state.cluster import Cluster
from bacalhau.orchestrator.state.foretold import Foretold
from bacalhau.orchestrator.state.forgotten import Forgetting
from bacalhau.orchestrator.state.gate import Gate
from bacalhau.orchestrator.state.inventories import Inventories
from bacalhau.orchestrator.state.limits import OnForgotten, Retention, forget_nothing
from bacalhau.orchestrator.state.locality import Locality
from bacalhau.orchestrator.state.logbook import LogBook
from bacalhau.orchestrator.state.outbox import Outbox
from bacalhau.orchestrator.state.permits import Permits
from bacalhau.orchestrator.state.proofs import Proofs
from bacalhau.orchestrator.state.queue import EvaluationQueue
from bacalhau.orchestrator.state.specs import Specs
from bacalhau.orchestrator.state.story import log_change
from bacalhau.orchestrator.state.tally import Tally
from bacalhau.orchestrator.state.views import Views
from bacalhau.ports.bus import OrchestratorBus
from bacalhau.ports.content import OwnContent, SpecCheck
from bacalhau.ports.plugin import Links, LinkWish, Presign, SignInput, SignLinks
from bacalhau.ports.publisher import AsInput, Published, ResultCheck
from bacalhau.ports.store import PendingMessage, Store


@dataclass(frozen=True)
class Checks:
    """Pure parameter checks by lower-case type name: what this system knows at all.

    `located`: sources that one node may have and another not; `listed`: those that are listed before a job is placed;
    `whole`: how sources are checked instead in a job that is not divided by a count; `results` judge what nodes report,
    by the type of the job's publisher; `params` tell of parameters that are ignored; `overlaps` say which results of a
    job replace one another; `readers` say by which input another job reads a result, by the type of the publisher.
    `engine_doubts` say why a task may run another program next time; of `fixed` sources the parameters alone say what
    they hold; `divides` say by how many bytes an input decides the count of a job.
    """

    engines: Mapping[str, SpecCheck]
    sources: Mapping[str, SpecCheck]
    publishers: Mapping[str, SpecCheck]
    located: frozenset[str] = frozenset()
    whole: Mapping[str, SpecCheck] = field(default_factory=dict)
    results: Mapping[str, ResultCheck] = field(default_factory=dict)
    params: ParamNames = NO_NAMES
    overlaps: OverlapChecks = field(default_factory=dict)
    listed: frozenset[str] = frozenset()
    readers: Mapping[str, AsInput] = field(default_factory=dict)
    engine_doubts: Mapping[str, SpecCheck] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    divides: Mapping[str, Divide] = field(default_factory=dict)

    def part_bytes(self, source: SpecConfig) -> int:
        """Return how many bytes of an input make a partition; 0 where it does not decide the count of its job."""
        divide = self.divides.get(source.kind)
        return divide(source) if divide else 0

    def list_result_problems(self, published: Published) -> list[str]:
        """List why a reported result cannot be one of its execution; empty when it can."""
        kind = published.publisher.kind
        if check := self.results.get(kind):
            return check(published)
        return [f"the job's publisher, {kind or 'none'}, makes no results"]


async def sign_nothing(published: Published, wish: LinkWish) -> Links:
    """Refuse: no publisher of this orchestrator signs links."""
    raise BadRequest("this orchestrator signs no links to parts of results")


async def sign_no_input(source: SpecConfig) -> SpecConfig:
    """Return an input as it is: no publisher of this orchestrator signs any."""
    return source


@dataclass
class Orchestrator:
    """`fill_defaults` completes a submitted job from the configuration; `presign` makes a published result fetchable,
    and is asked only about those that belong to their execution.

    `sign_links` gives links to the parts of one. `sign_upload` is where a node may put an execution's result
    (job id, execution id); None where none are kept here. `sign_input` adds the link by which a node fetches an input.
    `rejoin_ns`: after a start the absence of a node counts from so much later on; 0 where nodes see the restart.
    `placing` are executions that are reserved for and not yet stored.
    """

    node_id: str
    store: Store
    bus: OrchestratorBus
    content: OwnContent
    checks: Checks
    fill_defaults: Callable[[Job], Job]
    presign: Presign
    cluster: Cluster
    gate: Gate
    logs: LogBook
    sign_links: SignLinks = sign_nothing
    sign_upload: Callable[[str, str], Awaitable[str]] | None = None
    sign_input: SignInput = sign_no_input
    retention: Retention = field(default_factory=Retention)
    settle_ns: int = 5_000_000_000
    rejoin_ns: int = 0
    silence_ns: int = 60_000_000_000
    ageing_ns: int = 600_000_000_000
    queue: EvaluationQueue = field(init=False)
    on_forgotten: OnForgotten = forget_nothing
    board: Board = field(default_factory=Board)
    awaited: Awaited = field(default_factory=Awaited)
    outbox: Outbox = field(default_factory=Outbox)
    locality: Locality = field(default_factory=Locality)
    foretold: Foretold = field(default_factory=Foretold)
    views: Views = field(default_factory=Views)
    permits: Permits = field(default_factory=Permits)
    placing: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)
    started: int = field(default_factory=now_ns)

    def __post_init__(self) -> None:
        self.queue = EvaluationQueue(self.cluster.candidates, self.cluster.shares, self.ageing_ns)
        self.specs = Specs(self.content)
        self.inventories = Inventories(self.content)
        self.proofs = Proofs(self.content)

    @property
    def forgetting(self) -> Forgetting:
        return Forgetting(self.store, self.specs, self.inventories, self.proofs, self.outbox, self.on_forgotten)

    async def commit(self, change: Change) -> None:
        """Apply a change durably, then tell everybody concerned. Raises Conflict when someone else was first.

        Store and memory change together also if the caller is cancelled meanwhile; what the caller would have done next
        is then left to another evaluation of the jobs that changed.
        """
        try:
            with self.permits.ending(e.id for e in change.executions if not e.is_live):
                await uninterrupted(self._commit(change))
        except CancelledError:
            executions = (*change.new_executions, *change.executions)
            for job_id in {*(job.id for job in (*change.new_jobs, *change.jobs)), *(e.job_id for e in executions)}:
                self.queue.add(job_id)
            raise

    async def _commit(self, change: Change) -> None:
        seqs = await self._apply(change)
        self.views.note(change)
        for message, seq in zip(change.messages, seqs, strict=True):
            if unheard := self.outbox.push(PendingMessage(seq, message.node_id, message.type, message.body)):
                self.logs.end_silent(unheard)
        self._give_back(change)
        self.board.written((*change.new_executions, *change.executions))
        for job in (*change.new_jobs, *change.jobs):
            self.queue.note(job)
            self._announce(job)
        for job_id in {entry.job_id for entry in change.history}:
            self.board.changed(job_id)
        self.tally.note(change)
        log_change(change)

    def _give_back(self, change: Change) -> None:
        """Free what the executions held that have ended, and the turns of the jobs that have."""
        ended = [execution for execution in change.executions if not execution.is_live]
        self.tally.note_ends([execution for execution in ended if self.cluster.release(execution.id)])
        for execution in ended:
            self.board.forget(execution.job_id, execution.id)
        over = [job for job in (*change.new_jobs, *change.jobs) if job.is_done]
        for job in over:
            self.cluster.quotas.forget(job.id)
        self._wake_for_quota({*(execution.namespace for execution in ended), *(job.namespace for job in over)})

    def release(self, executions: Iterable[Execution]) -> None:
        """Give back what was reserved for executions that are not started after all, and evaluate who waited for it."""
        left = list(executions)
        for execution in left:
            self.cluster.release(execution.id)
        self._wake_for_quota({execution.namespace for execution in left})

    def _wake_for_quota(self, namespaces: set[str]) -> None:
        """Evaluate jobs again that may start something within their namespace's quota now."""
        for namespace in namespaces:
            for job_id in self.cluster.quotas.wake(namespace):
                self.queue.add(job_id)

    def note_plan(self, job: Job, plan: Plan) -> None:
        """The job waits for its namespace's quota, or leaves what it could have had of it to the next one."""
        need = (
            needed_resources(job) if plan.wants_quota else Resources()
        )  # of a job that broke a plan it may be unreadable
        self.cluster.quotas.note(job, need, plan)
        self._wake_for_quota({job.namespace})

    async def _apply(self, change: Change) -> list[int]:
        """Write a change. Room for its new executions is reserved before that, by their plan or here. Raises Conflict
        also where another attempt in the slot of a new execution may still publish.
        """
        unplanned = [e for e in change.new_executions if e.is_live and e.id not in self.placing]
        for execution in unplanned:
            self.cluster.hold(execution)
        try:
            self._check_fence(change)
            return await self.store.apply(change)
        except BaseException:
            self.release(unplanned)
            raise

    def _check_fence(self, change: Change) -> None:
        now = now_ns()
        for execution in change.new_executions:
            held = self.cluster.find_held(execution.id)
            if held and self.permits.must_wait(held.job_id, held.slot, now):
                raise Conflict(f"the last attempt before execution {execution.id} may still publish")

    def is_settled(self, now: int) -> bool:
        """Nodes have had time to come back since the start: from then on who is away may be given up."""
        return now - self.started > self.settle_ns

    def _announce(self, job: Job) -> None:
        if job.is_done and job.task.input_sources:
            self.locality.forget(job.id)
        if job.is_done:
            self.awaited.forget(job.id)
            self._wake_readers(job.id)
        self.board.changed(job.id, job if job.is_done else None)

    def _wake_readers(self, job_id: str) -> None:
        """Evaluate jobs again that wait for the result of one that has ended or is gone."""
        for reader in self.awaited.end(job_id):
            self.queue.add(reader)
