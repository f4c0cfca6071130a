"""One execution from its inputs to its published result, and again from where it was after a restart of the node."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, cast

from msgspec.structs import replace

from bacalhau.compute.core import ComputeNode, Running
from bacalhau.compute.execution.environment import task_environment
from bacalhau.compute.execution.inputs import permit_again, stage_inputs
from bacalhau.compute.execution.keeping import fit_kept, spare_cache
from bacalhau.compute.execution.mounts import make_mount_points
from bacalhau.compute.execution.outputs import (
    make_result_tree,
    read_exit_code,
    read_output,
    ready_result,
    write_exit_code,
)
from bacalhau.compute.execution.progress import Reporter
from bacalhau.compute.execution.proving import Proving
from bacalhau.compute.execution.publishing import publish_result
from bacalhau.compute.state.attempt import Attempt, read_attempt, record_mounts, write_attempt
from bacalhau.compute.state.kept import read_kept
from bacalhau.compute.state.policy import resolve_env
from bacalhau.lib.aio import together
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, EngineAway, EngineFailure, StorageFailure, TimedOut
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.tree import remove_tree
from bacalhau.models.execution.event import Topic
from bacalhau.models.execution.execution import Execution, RunCommandResult
from bacalhau.models.execution.proof import Proof
from bacalhau.models.job.job import Job, Timeouts
from bacalhau.models.job.network import NetworkConfig, NetworkType
from bacalhau.models.job.retry import ENGINE, ENGINE_AWAY, PUBLISH, PULL, STAGING, TIMEOUT
from bacalhau.models.job.spec import SpecConfig
from bacalhau.models.wire.messages import Progress
from bacalhau.ports.engine import Engine, EngineTask, Mount, Prepares
from bacalhau.ports.progress import Step
from bacalhau.ports.storage import Partition

SECOND = 1_000_000_000
STOP_GRACE = 3.0  # seconds between asking a task to end and killing it
LATE_PUBLISHING = 300  # seconds for the result of a task that its time limit ended
PROVING = 300  # seconds for handing in what was read and written
STOP_AGAIN = 1.0  # seconds until an engine that could not be told to stop is told again
_KINDS = {Topic.DOWNLOADING_INPUTS: STAGING, Topic.PUBLISHING_RESULTS: PUBLISH}
_STEPS = {
    Topic.PREPARING_ENVIRONMENT: "before the task began",
    Topic.DOWNLOADING_INPUTS: "while its inputs and its image were brought",
    Topic.RUNNING_EXECUTION: "while it ran",
    Topic.PUBLISHING_RESULTS: "while its result was published",
}
log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """The end of an execution.

    `error` with its `topic` and `kind` of failure, or none; what was printed and published is kept either way.
    `left_out` are files of the task that are not in the published result. `proof` is None where there is none.
    """

    output: RunCommandResult | None = None
    published: SpecConfig | None = None
    image: str = ""
    error: BacalhauError | None = None
    topic: Topic = Topic.EXECUTION
    kind: str = ""
    left_out: tuple[str, ...] = ()
    proof: Proof | None = None


class Cancelled(Exception):
    """The orchestrator no longer wants the execution."""


async def run_execution(node: ComputeNode, execution: Execution, running: Running) -> Outcome:
    """Run an execution to its end. Raises Cancelled; every other end is an Outcome."""
    late = find_late(node, execution)
    execution = late or execution
    job = execution.job or Job()
    reporter = Reporter(job.id, execution.id, partial(_tell, node))
    work = _Work(node, execution, job, running, reporter)
    try:
        async with AsyncExitStack() as stack:
            try:
                if late is None:  # to publish what is there needs no room
                    await work.queue(stack)
                    await fit_kept(node)
                    await spare_cache(node, node.folder, work.granted.disk)
            except TimedOut as e:
                return Outcome(error=e, topic=work.topic, kind=work.kind)
            return await work.run()
    finally:
        reporter.close()


def find_late(node: ComputeNode, execution: Execution) -> Execution | None:
    """Return an execution whose kept outputs are to be published, with the publisher that was named for it and without
    limits of time; None for every other execution.
    """
    record = read_kept(node.execution_folder(execution.id))
    if record is None or record.publisher is None:
        return None
    job = execution.job or Job()
    task = replace(job.task, publisher=record.publisher, timeouts=None)
    return replace(execution, job=replace(job, tasks=(task,)))


async def stop_engine(node: ComputeNode, execution_id: str, running: Running) -> None:
    """Tell it until it hears, or the run has ended: it may be out of reach just now.

    Raises nothing, because it is started in the node's crew.
    """
    while node.running.get(execution_id) is running and not await try_stop(execution_id, running):
        await node.ended.wait(STOP_AGAIN)


async def try_stop(execution_id: str, running: Running) -> bool:
    """Tell the engine to stop an execution; return False when it could not be told."""
    try:
        if running.engine is not None:
            await running.engine.stop(execution_id, STOP_GRACE)
    except BacalhauError as e:
        log.warning("execution %s could not be stopped: %s", execution_id, e)
        return False
    return True


@cache
def _prepares(kind: type) -> bool:
    return issubclass(kind, Prepares)


def _tell(node: ComputeNode, progress: Progress) -> None:
    node.crew.start(_send_progress(node, progress))


async def _send_progress(node: ComputeNode, progress: Progress) -> None:
    """Progress may be lost; the next report brings the current state."""
    with suppress(BacalhauError):
        await node.bus.tell(progress)


class _Work:
    """The stages share so much that they are methods of one short-lived object."""

    def __init__(self, node: ComputeNode, execution: Execution, job: Job, running: Running, report: Reporter) -> None:
        self.node, self.execution, self.job, self.running, self.report = node, execution, job, running, report
        self.folder = node.execution_folder(execution.id)
        self.result = self.folder / "result"
        self.topic = Topic.PREPARING_ENVIRONMENT
        self.granted = execution.reserved
        self.mounts: tuple[Mount, ...] = ()
        self.kind = ""
        self.limit = ""

    async def queue(self, stack: AsyncExitStack) -> None:
        """Wait for room, which `stack` gives back. Raises Cancelled and TimedOut."""
        async with self._stage(Topic.PREPARING_ENVIRONMENT, self._deadline(0)):
            self.granted = await stack.enter_async_context(
                self.node.capacity.hold(self.execution.id, self.execution.reserved)
            )

    async def run(self) -> Outcome:
        try:
            resumed = self.folder.exists()
            attempt = read_attempt(self.folder) if resumed else None
            code = read_exit_code(self.result) if resumed else None
            if code is None:
                if attempt is None:
                    attempt = await self._prepare(resumed)
                else:
                    await self._mount_again(attempt)
                code = await self._run_engine(attempt)
            return await self._conclude(code, attempt or Attempt())
        except BacalhauError as e:
            if self.running.cancelled:
                raise Cancelled from e
            output = read_output(self.result, self.running.exit_code, e.message)
            own = self.kind
            if isinstance(e, EngineAway):
                own = ENGINE_AWAY
                self.node.doubt_engine(self._engine_name)
            return Outcome(error=e, topic=self.topic, output=output, kind=own or _KINDS.get(self.topic, ENGINE))

    @asynccontextmanager
    async def _stage(self, topic: Topic, deadline: int) -> AsyncIterator[None]:
        """A part without an engine: the time limit and a cancel end it. `deadline` is Unix ns, 0 none."""
        self.topic = topic
        if self.running.cancelled:
            raise Cancelled
        left = max(0.0, (deadline - now_ns()) / SECOND) if deadline else None
        try:
            async with asyncio.timeout(left) as self.running.scope:
                yield
        except TimeoutError as e:
            if self.running.cancelled:
                raise Cancelled from e
            raise self._timed_out(topic) from e
        finally:
            self.running.scope = None

    async def _prepare(self, resumed: bool) -> Attempt:
        """A clean folder, inputs and image side by side, then the record that a restart can go on from."""
        started = now_ns()
        if resumed:
            await asyncio.to_thread(remove_tree, self.folder)
        outputs = make_result_tree(self.job.task, self.result)
        reach(Point.NODE_STAGING)
        async with self._stage(Topic.DOWNLOADING_INPUTS, self._deadline(started)):
            if self.job.task.input_sources:
                image, inputs = await together(self._prepare_engine(), self._stage_inputs())
            else:
                image, inputs = await self._prepare_engine(), ()
        reach(Point.NODE_STAGED)
        ports = self.node.pool.reserve(self.execution.id, self._network())
        self.mounts = inputs + outputs
        if len(self.mounts) > 1:
            await asyncio.to_thread(make_mount_points, self.mounts, self._own_folders())
        attempt = Attempt(
            image=image,
            started=started,
            staged=now_ns(),
            mounts=record_mounts(self.mounts),
            ports=ports,
            gpus=self.granted.gpus,
        )
        if attempt.is_worth_keeping:
            write_attempt(self.folder, attempt)
        self.node.stages.note("staging", attempt.started, attempt.staged)
        reach(Point.NODE_PREPARED)
        return attempt

    def _own_folders(self) -> tuple[Path, ...]:
        """List the folders in which what this execution mounts is nobody else's."""
        cache = self.node.cache
        return (self.folder, cache.tree(self.execution.id)) if cache else (self.folder,)

    async def _mount_again(self, attempt: Attempt) -> None:
        """Ask for the mounts of an earlier process again. A task with a mount that is no longer allowed is stopped."""
        async with self._stage(Topic.DOWNLOADING_INPUTS, 0):  # the engine, which may run the task, ends it in time
            try:
                self.mounts = await permit_again(self.node, self.job.task, attempt.as_mounts())
            except StorageFailure:
                self.running.engine = self._engine()
                await try_stop(self.execution.id, self.running)
                raise

    @contextmanager
    def _blame(self, kind: str) -> Iterator[None]:
        """Count what fails inside as a failure of this kind."""
        try:
            yield
        except BacalhauError:
            self.kind = self.kind or kind
            raise

    async def _prepare_engine(self) -> str:
        engine = self._engine()
        if not _prepares(type(engine)):
            return ""
        with self._blame(PULL):
            return await self._pull(engine)

    async def _pull(self, engine: Engine) -> str:
        image = await cast(Prepares, engine).prepare(self.job.task.engine.params or {}, self.report)
        self.report.finished("pulling")
        return image

    async def _stage_inputs(self) -> tuple[Mount, ...]:
        folder = self.folder / "inputs"
        folder.mkdir()
        self.report(Step("staging"))
        part = Partition(self.execution.partition_index, self.job.wanted)
        with self._blame(STAGING), self.node.prefetches.staging():
            mounts = await stage_inputs(self.node, self.job, part, folder, self._disk, self.report)
        self.report.finished("staging")
        return mounts

    @property
    def _disk(self) -> int:
        return self.node.disk_of(self.granted)

    @property
    def _engine_name(self) -> str:
        return self.job.task.engine.kind

    def _engine(self) -> Engine:
        try:
            return self.node.plugins.engines[self._engine_name]
        except KeyError as e:
            raise EngineFailure(f"this node does not run {self._engine_name}") from e

    async def _run_engine(self, attempt: Attempt) -> int:
        self.topic = Topic.RUNNING_EXECUTION
        engine = self.running.engine = self._engine()
        if self.running.cancelled:
            raise Cancelled
        self.report(Step("running"))
        self.node.shipping.begin(self.execution.id)
        began = attempt.staged or now_ns()
        async with self._time_limit(self._deadline(attempt.started)):
            exit_ = await engine.run(self._task(attempt), self.report)
        self.report.finished("running")
        self.running.exit_code = exit_.code
        if self.running.cancelled:
            raise Cancelled
        self.running.engine = None
        self.node.stages.note("running", began, now_ns())
        reach(Point.NODE_RAN)
        write_exit_code(self.result, exit_.code)
        return exit_.code

    def _task(self, attempt: Attempt) -> EngineTask:
        return EngineTask(
            execution_id=self.execution.id,
            job_id=self.job.id,
            node_id=self.node.node_id,
            params=self.job.task.engine.params or {},
            env=self._environment(attempt),
            mounts=self.mounts,
            resources=self.granted,
            network=replace(self._network(), ports=attempt.ports),
            stdout=self.result / "stdout",
            stderr=self.result / "stderr",
            image=attempt.image,
            output_limit=self.node.shipping.kept,
        )

    def _environment(self, attempt: Attempt) -> dict[str, str]:
        own, problems = resolve_env(self.job.task.env or {}, self.node.admission)
        if problems:
            raise EngineFailure("; ".join(problems), hint="ask the node's administrator, or select another node")
        return task_environment(self.job, self.execution, own, attempt.ports)

    def _network(self) -> NetworkConfig:
        """Choose the network of a task: none where the node gives none and the task did not ask for one."""
        wanted = self.job.task.network or NetworkConfig()
        isolated = self.node.admission.policy.reject_networked_jobs and wanted.kind() == NetworkType.DEFAULT
        return NetworkConfig(type=NetworkType.NONE) if isolated else wanted

    @asynccontextmanager
    async def _time_limit(self, deadline: int) -> AsyncIterator[None]:
        """When time is over the engine is told to stop, and the run that watches it returns."""

        def expire() -> None:
            self.running.timed_out = True
            self.node.crew.start(stop_engine(self.node, self.execution.id, self.running))

        timer = (
            asyncio.get_running_loop().call_later(max(0.0, (deadline - now_ns()) / SECOND), expire)
            if deadline
            else None
        )
        try:
            yield
        finally:
            if timer:
                timer.cancel()

    async def _conclude(self, code: int, attempt: Attempt) -> Outcome:
        """Publish what there is, also after the time limit ended the task: then within LATE_PUBLISHING."""
        is_late, ran = self.running.timed_out, now_ns()
        deadline = now_ns() + LATE_PUBLISHING * SECOND if is_late else self._deadline(attempt.started)
        async with self._stage(Topic.PUBLISHING_RESULTS, deadline):
            self.report(Step("publishing"))
            reach(Point.NODE_PUBLISHING)
            left_out = (
                await asyncio.to_thread(ready_result, self.folder, self._disk) if self.job.task.publisher_type else ()
            )
            proving = Proving(self.node, self.execution, attempt, ran)
            published = await publish_result(
                self.node, self.execution, self.running, proving.written, self.result, self.report
            )
            self.node.stages.note("publishing", ran, now_ns())
            reach(Point.NODE_PUBLISHED)
        proof = await self._prove(proving)
        error = self._timed_out(Topic.RUNNING_EXECUTION) if is_late else None
        output = read_output(self.result, code, error.message if error else "")
        return (
            Outcome(output, published, attempt.image, error, Topic.EXEC_TIMEOUT, TIMEOUT, left_out, proof)
            if error
            else Outcome(output, published, attempt.image, left_out=left_out, proof=proof)
        )

    async def _prove(self, proving: Proving) -> Proof | None:
        """Hand in what was read and written. No limit of time that the task has ends what is done."""
        if not proving.is_wanted:
            return None
        try:
            async with self._stage(Topic.PUBLISHING_RESULTS, now_ns() + PROVING * SECOND):
                return await proving.hand_in()
        except TimedOut:
            self.kind = ""
            return Proof(error=f"the node could not hand it in within {PROVING} s")

    def _limits(self) -> Timeouts:
        return self.job.task.timeouts or Timeouts()

    def _deadline(self, started: int) -> int:
        """Unix ns, 0 none: the execution's own limit from its start (0: not yet), the job's from its submission."""
        limits = self._limits()
        own = started + limits.execution_timeout * SECOND if limits.execution_timeout and started else 0
        total = self.job.submitted + limits.total_timeout * SECOND if limits.total_timeout else 0
        is_own = bool(own) and (not total or own <= total)
        self.limit = (
            f"{limits.execution_timeout} s: the execution's" if is_own else f"{limits.total_timeout} s: the job's total"
        )
        return own if is_own else total

    def _timed_out(self, topic: Topic) -> TimedOut:
        """Make the error of a time limit that was over in the step of this topic."""
        self.topic, self.kind = Topic.EXEC_TIMEOUT, TIMEOUT
        return TimedOut(
            f"timed out after {self.limit} time limit is over ({_STEPS[topic]})",
            hint="increase --timeout or allocate more resources",
            retryable=False,
        )
