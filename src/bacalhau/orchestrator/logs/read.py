"""The output of a job, of one execution after another or of several side by side, wherever it is kept."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import NamedTuple

from bacalhau.lib.aio import Crew, crew
from bacalhau.lib.errors import BacalhauError, Conflict, NotFound
from bacalhau.models.execution.execution import ComputeStateType, Execution
from bacalhau.models.job.job import LONG_RUNNING, Job
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.logs.source import ExecutionLog
from bacalhau.orchestrator.logs.text import LastLines, LogText
from bacalhau.orchestrator.state.board import Watch
from bacalhau.ports.logs import Offsets

C = ComputeStateType
GOOD = frozenset({C.BID_ACCEPTED, C.RUNNING, C.PUBLISHING, C.COMPLETED})
WITH_OUTPUT = GOOD | {C.FAILED, C.CANCELLED}
LATE_PAUSE, LONG_PAUSE = 0.5, 60.0  # seconds


class LogSelection(NamedTuple):
    """`tail`: only what comes from now on.

    `lines`: only so many of the last lines, -1 all. `after`: where each execution's reading goes on.

    `is_wide`: the current execution of every partition (of every node, for ops and daemon jobs); `is_all`: every
    execution there ever was; neither: the latest one. `follow` waits for executions to come, goes on with those that
    replace them, and ends with the job.
    """

    job: str
    namespace: str = ""
    execution_id: str = ""
    tail: bool = False
    follow: bool = False
    lines: int = -1
    is_wide: bool = False
    is_all: bool = False
    after: Mapping[str, Offsets] = {}


async def stream_logs(
    orch: Orchestrator,
    id_or_name: str,
    namespace: str = "",
    *,
    execution_id: str = "",
    tail: bool = False,
    follow: bool = False,
) -> AsyncGenerator[tuple[int, str], None]:
    """(1 stdout | 2 stderr, text) of the latest execution, and while following of those that replace it."""
    async with aclosing(read_log(orch, LogSelection(id_or_name, namespace, execution_id, tail, follow))) as texts:
        async for text in texts:
            yield text.stream, text.text


async def read_log(orch: Orchestrator, wanted: LogSelection) -> AsyncGenerator[LogText, None]:
    """Read the output of a job. Raises NotFound without an execution; a job that failed before it ran raises its own
    error.
    """
    job = await orch.store.find_job(wanted.job, wanted.namespace)
    watch = Watch()
    async with AsyncExitStack() as stack:
        stack.enter_context(orch.board.watch(job.id, watch))
        stack.enter_context(orch.logs.watch(job.id, watch))
        reading = _Reading(orch, wanted, job, watch, await stack.enter_async_context(crew()))
        async with aclosing(reading.texts()) as texts:
            async for text in texts:
                yield text


class _Feed:
    """One seat of a job: the executions that held it, one after the other."""

    def __init__(self, last: LastLines | None) -> None:
        self.log: ExecutionLog | None = None
        self.seen: set[str] = set()
        self.is_busy = False
        self._last = last

    @property
    def is_over(self) -> bool:
        return self.log is None or self.log.is_over

    @property
    def is_late(self) -> bool:
        return self.log is not None and not self.log.is_over and self.log.is_late

    def pass_on(self, texts: list[LogText]) -> list[LogText]:
        """Pass pieces on; of those that were there at the beginning only the last lines, if these were asked for."""
        self.is_busy = bool(texts)
        if self._last is None:
            return texts
        self._last.take(texts)
        if texts and not self.is_over:
            return []
        kept, self._last = self._last.release(), None
        return kept


class _Reading:
    def __init__(self, orch: Orchestrator, wanted: LogSelection, job: Job, watch: Watch, readers: Crew) -> None:
        self._orch, self._wanted, self._job, self._watch, self._crew = orch, wanted, job, watch, readers
        self._executions: list[Execution] = []
        self._feeds: dict[str, _Feed] = {}
        self._has_output = False
        self._ends: dict[str, Offsets] = {}
        self._is_first = True

    async def texts(self) -> AsyncGenerator[LogText, None]:
        while True:
            self._watch.clear()
            if self._watch.has_news:
                await self._load()
            self._choose_all()
            due = self._due()
            for feed in due:
                for text in await self._read(feed):
                    self._has_output = True
                    yield text
            if any(feed.is_busy or feed.is_over for feed in due) or any(
                self._next(feed) for feed in self._feeds.values()
            ):
                continue
            if self._may_end():
                self._explain_silence()
                return
            await self._watch.wait(LATE_PAUSE if any(feed.is_late for feed in self._feeds.values()) else LONG_PAUSE)

    def _due(self) -> list[_Feed]:
        """All side by side while they are followed, else one after the other."""
        due = [feed for feed in self._feeds.values() if not feed.is_over]
        return due if self._wanted.follow else due[:1]

    async def _load(self) -> None:
        """The job first: when it is done, its executions are as they stay."""
        self._watch.has_news = False
        self._job = await self._orch.store.find_job(self._job.id)
        self._executions = self._selected(await self._orch.store.list_executions(self._job.id, -1))
        if self._is_first and self._wanted.tail:
            self._ends = await asyncio.to_thread(self._places)

    def _selected(self, executions: list[Execution]) -> list[Execution]:
        """Oldest first. Raises Conflict when an execution's id is not told exactly enough."""
        prefix = self._wanted.execution_id
        if prefix:
            found = [e for e in executions if e.id == prefix] or [e for e in executions if e.id.startswith(prefix)]
            if len(found) > 1:
                raise Conflict(
                    f"{len(found)} executions have an id that begins with {prefix}", hint="give more of the id"
                )
            return found
        return sorted((e for e in executions if e.state in WITH_OUTPUT), key=lambda e: (e.create_time, e.id))

    def _places(self) -> dict[str, Offsets]:
        places = ((e.id, self._orch.logs.files.place(e.id)) for e in self._executions)
        return {execution_id: place[0] for execution_id, place in places if place}

    def _choose_all(self) -> None:
        candidates: dict[str, list[Execution]] = {}
        for execution in self._executions:
            candidates.setdefault(self._candidate(execution), []).append(execution)
        for candidate, members in candidates.items():
            if candidate not in self._feeds:
                self._feeds[candidate] = self._begin(members)
            elif (successor := self._next(self._feeds[candidate])) is not None:
                self._give(self._feeds[candidate], successor)
        self._is_first = False

    def _candidate(self, execution: Execution) -> str:
        if self._wanted.is_all:
            return execution.id
        if not self._wanted.is_wide or self._wanted.execution_id:
            return ""
        return execution.node_id if self._job.type in ("ops", "daemon") else str(execution.partition_index)

    def _begin(self, members: list[Execution]) -> _Feed:
        """Begin with the best execution, or with the last one that was read before."""
        feed = _Feed(
            LastLines(self._wanted.lines)
            if self._wanted.lines >= 0 and self._is_first and not self._wanted.after
            else None
        )
        if resumed := [e for e in members if e.id in self._wanted.after]:
            first = resumed[-1]
            feed.seen |= {e.id for e in members if e.create_time < first.create_time}
        else:
            first = max(members, key=lambda e: (e.state in GOOD, e.modify_time))
            feed.seen |= {e.id for e in members if e.create_time < first.create_time or not e.is_live}
        self._give(feed, first)
        return feed

    def _next(self, feed: _Feed) -> Execution | None:
        """Find the execution that follows one that has ended."""
        if not feed.is_over or not self._wanted.follow:
            return None
        return next(
            (e for e in self._executions if e.id not in feed.seen and self._feeds.get(self._candidate(e)) is feed), None
        )

    def _give(self, feed: _Feed, execution: Execution) -> None:
        feed.seen.add(execution.id)
        start = self._wanted.after.get(execution.id) or self._ends.get(execution.id, Offsets())
        feed.log = ExecutionLog(self._orch, execution, start, self._watch)
        # From now on: what has ended says nothing more.
        is_old = self._wanted.tail and self._is_first and execution.id not in self._wanted.after
        feed.log.is_from_now = is_old
        feed.log.is_over = is_old and not (execution.is_live and self._wanted.follow)

    async def _read(self, feed: _Feed) -> list[LogText]:
        log = feed.log
        if log is None or log.is_over:
            feed.is_busy = False
            return []
        current = next((e for e in self._executions if e.id == log.execution.id), log.execution)
        return feed.pass_on(await log.read(current, self._crew, follow=self._wanted.follow))

    def _may_end(self) -> bool:
        """A failed execution may be replaced as long as the job goes on, a completed one only in a job without end."""
        if not all(feed.is_over for feed in self._feeds.values()):
            return False
        if not self._wanted.follow or self._job.is_done or (self._wanted.execution_id and not self._executions):
            return True
        if self._wanted.is_wide or self._wanted.is_all:
            return False
        is_complete = self._job.type not in LONG_RUNNING and any(
            e.state == ComputeStateType.COMPLETED for e in self._executions
        )
        return bool(self._feeds) and (is_complete or bool(self._wanted.execution_id))

    def _explain_silence(self) -> None:
        """Nothing was printed because nothing ran: that is an error, in the words of what went wrong."""
        if not self._executions and self._wanted.execution_id:
            raise NotFound(
                f"unable to find execution {self._wanted.execution_id} of job {self._job.id}",
                hint="see `bacalhau job executions`",
            )
        if not self._executions:
            raise NotFound(
                self._job.state.message or f"no executions found for job {self._job.id}", hint="see `bacalhau describe`"
            )
        last = self._executions[-1]
        never_ran = all(
            e.state == ComputeStateType.FAILED and (e.run_output is None or e.run_output.exit_code < 0)
            for e in self._executions
        )
        if never_ran and not self._has_output and not self._wanted.after:
            raise BacalhauError(last.compute_state.message or self._job.state.message, hint="see `bacalhau describe`")
