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
from bacalhau.ports.store import ExecutionPage

C = ComputeStateType
GOOD = frozenset({C.BID_ACCEPTED, C.RUNNING, C.PUBLISHING, C.COMPLETED})
WITH_OUTPUT = GOOD | {C.FAILED, C.CANCELLED}
LATE_PAUSE, LONG_PAUSE = 0.5, 60.0  # seconds


def _by_age(execution: Execution) -> tuple[int, str]:
    return execution.create_time, execution.id


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
    watch = Watch(collects=True)
    async with AsyncExitStack() as stack:
        stack.enter_context(orch.board.watch(job.id, watch))
        stack.enter_context(orch.logs.watch(job.id, watch))
        reading = _Reading(orch, wanted, job, watch, await stack.enter_async_context(crew()))
        async with aclosing(reading.texts()) as texts:
            async for text in texts:
                yield text


class _Feed:
    """One seat of a job: the executions that held it, one after the other. `waiting` are those not read yet.

    `last` keeps the lines that were there at the beginning: until a read brings nothing where the log is followed, else
    to the end, because a node that is asked answers later.
    """

    def __init__(self, last: LastLines | None, *, follow: bool) -> None:
        self.log: ExecutionLog | None = None
        self.waiting: set[str] = set()
        self.is_busy = False
        self._last = last
        self._follow = follow

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
        if (texts or not self._follow) and not self.is_over:
            return []
        kept, self._last = self._last.release(), None
        return kept


class _Reading:
    def __init__(self, orch: Orchestrator, wanted: LogSelection, job: Job, watch: Watch, readers: Crew) -> None:
        self._orch, self._wanted, self._job, self._watch, self._crew = orch, wanted, job, watch, readers
        self._executions: dict[str, Execution] = {}
        self._loaded = 0
        self._has_completed = False
        self._feeds: dict[str, _Feed] = {}
        self._has_output = False
        self._ends: dict[str, Offsets] = {}
        self._is_first = True

    async def texts(self) -> AsyncGenerator[LogText, None]:
        while True:
            self._watch.clear()
            if self._watch.has_news:
                self._choose(await self._load())
            self._go_on()
            due = self._due()
            for feed in due:
                for text in await self._read(feed):
                    self._has_output = True
                    yield text
            if any(feed.is_busy or feed.is_over for feed in due) or any(map(self._may_go_on, self._feeds.values())):
                continue
            if self._may_end():
                self._explain_silence()
                return
            await self._watch.wait(LATE_PAUSE if any(feed.is_late for feed in self._feeds.values()) else LONG_PAUSE)

    def _due(self) -> list[_Feed]:
        """All side by side while they are followed, else one after the other."""
        due = [feed for feed in self._feeds.values() if not feed.is_over]
        return due if self._wanted.follow else due[:1]

    async def _load(self) -> list[Execution]:
        """Bring the executions up to date, and return the new ones among them, oldest first.

        All of them are read at the beginning, and once more when the job is done: the job first, so that they are as
        they stay. In between whoever writes them tells.
        """
        self._watch.has_news = False
        self._job = await self._orch.store.find_job(self._job.id)
        written: list[Execution] = []
        if not self._loaded or (self._job.is_done and self._job.revision != self._loaded):
            page = ExecutionPage(prefix=self._wanted.execution_id)
            written = await self._orch.store.list_executions(self._job.id, -1, page)
            self._loaded = self._job.revision
        added = self._put([*written, *self._watch.take()])
        if self._is_first and self._wanted.tail:
            self._ends = await asyncio.to_thread(self._places)
        return added

    def _put(self, written: list[Execution]) -> list[Execution]:
        """Keep the later revisions, and return the executions that are new. Raises Conflict when an execution's id is
        not told exactly enough.
        """
        added: dict[str, None] = {}
        for execution in written:
            known = self._executions.get(execution.id)
            if not self._is_wanted(execution, known) or (known and known.revision >= execution.revision):
                continue
            self._executions[execution.id] = execution
            self._has_completed |= execution.state == ComputeStateType.COMPLETED
            if known is None:
                added[execution.id] = None
        if (
            self._wanted.execution_id
            and self._wanted.execution_id not in self._executions
            and len(self._executions) > 1
        ):
            raise Conflict(
                f"{len(self._executions)} executions have an id that begins with {self._wanted.execution_id}",
                hint="give more of the id",
            )
        return sorted((self._executions[i] for i in added), key=_by_age)

    def _is_wanted(self, execution: Execution, known: Execution | None) -> bool:
        if self._wanted.execution_id:
            return execution.id.startswith(self._wanted.execution_id)
        return known is not None or execution.state in WITH_OUTPUT

    def _places(self) -> dict[str, Offsets]:
        places = ((e.id, self._orch.logs.files.place(e.id)) for e in self._executions.values())
        return {execution_id: place[0] for execution_id, place in places if place}

    def _choose(self, added: list[Execution]) -> None:
        """Give each new execution its seat."""
        new: dict[str, list[Execution]] = {}
        for execution in added:
            candidate = self._candidate(execution)
            if candidate in self._feeds:
                self._feeds[candidate].waiting.add(execution.id)
            else:
                new.setdefault(candidate, []).append(execution)
        self._feeds |= {candidate: self._begin(members) for candidate, members in new.items()}
        self._is_first = False

    def _go_on(self) -> None:
        """Follow each execution that has ended with the oldest one that waits for its seat."""
        for feed in self._feeds.values():
            if self._may_go_on(feed):
                self._give(feed, min((self._executions[i] for i in feed.waiting), key=_by_age))

    def _may_go_on(self, feed: _Feed) -> bool:
        return self._wanted.follow and feed.is_over and bool(feed.waiting)

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
            else None,
            follow=self._wanted.follow,
        )
        if resumed := [e for e in members if e.id in self._wanted.after]:
            first = resumed[-1]
            later = [e for e in members if e.create_time >= first.create_time]
        else:
            first = max(members, key=lambda e: (e.state in GOOD, e.modify_time))
            later = [e for e in members if e.create_time >= first.create_time and e.is_live]
        feed.waiting = {e.id for e in later}
        self._give(feed, first)
        return feed

    def _give(self, feed: _Feed, execution: Execution) -> None:
        feed.waiting.discard(execution.id)
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
        current = self._executions[log.execution.id]
        return feed.pass_on(await log.read(current, self._crew, follow=self._wanted.follow))

    def _may_end(self) -> bool:
        """A failed execution may be replaced as long as the job goes on, a completed one only in a job without end."""
        if not all(feed.is_over for feed in self._feeds.values()):
            return False
        if not self._wanted.follow or self._job.is_done or (self._wanted.execution_id and not self._executions):
            return True
        if self._wanted.is_wide or self._wanted.is_all:
            return False
        is_complete = self._job.type not in LONG_RUNNING and self._has_completed
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
        last = max(self._executions.values(), key=_by_age)
        never_ran = all(
            e.state == ComputeStateType.FAILED and (e.run_output is None or e.run_output.exit_code < 0)
            for e in self._executions.values()
        )
        if never_ran and not self._has_output and not self._wanted.after:
            raise BacalhauError(last.compute_state.message or self._job.state.message, hint="see `bacalhau describe`")
