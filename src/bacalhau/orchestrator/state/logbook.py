"""The orchestrator's copies of what executions print: taking in what nodes send, and telling readers that there is
more.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BadRequest, NotFound, Unavailable
from bacalhau.models.wire.messages import LogEnd, LogPart, PutLogsRequest, PutLogsResponse
from bacalhau.orchestrator.state.board import Watch
from bacalhau.ports.logs import STDERR, STDOUT, Append, Logs, Offsets, Piece
from bacalhau.ports.store import PlanStore

REMEMBERED = 10_000  # executions
SWEEP_EVERY = 300.0  # seconds
T = TypeVar("T")
log = logging.getLogger(__name__)


class _Owner(NamedTuple):
    """`node_id` "" where nothing is wanted of the log."""

    node_id: str
    job_id: str


class LogBook:
    """`limit` is how many bytes of one log are kept, 0 all."""

    def __init__(self, files: Logs, limit: int) -> None:
        self.files = files
        self._limit = limit
        self._owners: OrderedDict[str, _Owner] = OrderedDict()
        self._silent: OrderedDict[str, None] = OrderedDict()
        self._watches: dict[str, set[Watch]] = {}

    @contextmanager
    def watch(self, job_id: str, watch: Watch) -> Iterator[None]:
        """Fire it whenever the job has printed more."""
        watches = self._watches.setdefault(job_id, set())
        watches.add(watch)
        try:
            yield
        finally:
            watches.discard(watch)
            if not watches:
                self._watches.pop(job_id, None)

    def end_silent(self, execution_id: str) -> None:
        """Note that an execution ended without having printed."""
        _remember(self._silent, execution_id, None)

    def ended_silent(self, execution_id: str) -> bool:
        """Note that an execution ended without having printed."""
        return execution_id in self._silent

    async def on_put_logs(self, store: PlanStore, node_id: str, request: PutLogsRequest) -> PutLogsResponse:
        """A node may only write the logs of its own executions. Raises BadRequest, or Unavailable for a full disk."""
        owners = {part.execution_id: await self._owner(store, part) for part in request.parts}
        owners |= {i: await self._owner(store, LogPart(execution_id=i)) for i in request.ended if i not in owners}
        wanted = {execution_id: owner for execution_id, owner in owners.items() if owner.node_id == node_id}
        appends = [Append(p.execution_id, _piece(p)) for p in request.parts if p.data and p.execution_id in wanted]
        ended = [execution_id for execution_id in request.ended if execution_id in wanted]
        ends = await asyncio.to_thread(self._write, appends, ended, list(wanted))
        for execution_id in ended:
            if ends[execution_id] == Offsets():
                self.end_silent(execution_id)
        for job_id in {wanted[i].job_id for i in (*(a.execution_id for a in appends), *ended)}:
            for watch in self._watches.get(job_id, ()):
                watch.wake()
        answers = [
            LogEnd(execution_id=i, stdout=ends[i].stdout, stderr=ends[i].stderr)
            if i in ends
            else LogEnd(execution_id=i, unwanted=True)
            for i in owners
        ]
        return PutLogsResponse(ends=tuple(answers), limit=self._limit)

    def _write(self, appends: list[Append], ended: list[str], wanted: list[str]) -> dict[str, Offsets]:
        self.files.append(appends)
        ends = {
            execution_id: place[0] if (place := self.files.place(execution_id)) else Offsets()
            for execution_id in wanted
        }
        for execution_id in ended:
            if ends[execution_id] != Offsets():
                self.files.finish(execution_id)
        return ends

    async def _owner(self, store: PlanStore, part: LogPart) -> _Owner:
        found = self._owners.get(part.execution_id)
        if found is None:
            found = await self._find_owner(store, part.execution_id)
            _remember(self._owners, part.execution_id, found)
        return found

    async def _find_owner(self, store: PlanStore, execution_id: str) -> _Owner:
        try:
            execution, _ = await store.load_execution(execution_id)
        except NotFound:
            return _Owner("", "")
        output = execution.run_output
        is_recorded = output is not None and output.is_whole and bool(output.stdout or output.stderr)
        return _Owner("" if is_recorded else execution.node_id, execution.job_id)

    async def forget(self, execution_ids: list[str]) -> None:
        """Their jobs are no longer kept."""
        for execution_id in execution_ids:
            self._owners.pop(execution_id, None)
        await asyncio.to_thread(self.files.remove, execution_ids)

    async def sweep_forever(self) -> None:
        tick = Signal()
        while True:
            try:
                if gone := await asyncio.to_thread(self.files.sweep, now_ns() / 1e9):
                    log.info("the logs of %d executions were removed, the first of %s", len(gone), gone[0])
            except Unavailable as e:
                log.error("old logs were not removed: %s", e)
            await tick.wait(SWEEP_EVERY)


def _piece(part: LogPart) -> Piece:
    if part.stream not in (STDOUT, STDERR) or part.offset < 0:
        raise BadRequest(f"a log has no stream {part.stream} at byte {part.offset}")
    return Piece(part.stream, part.offset, part.data)


def _remember(known: "OrderedDict[str, T]", key: str, value: T) -> None:
    known[key] = value
    while len(known) > REMEMBERED:
        known.popitem(last=False)
