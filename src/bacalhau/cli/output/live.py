"""A job's progress on a terminal: one block with a line an execution, drawn again in place until the job has ended.

The first line is the job's: its state, and what it waits for. Where the executions do not fit, it counts them by stage,
and the lines are those that changed last.
"""

import asyncio
import sys
import time
from collections.abc import Iterable, Sequence

from bacalhau.cli.output.block import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Block, Piece, bar, can_show, one_line
from bacalhau.cli.output.stages import COMPLETED, ENDED, FAILED, PLACED, STOPPED, amounts_of, count_stages, stage_after
from bacalhau.cli.output.width import columns_of, cut, filled
from bacalhau.lib.ids import short_id
from bacalhau.models.execution.event import JobHistory, Topic
from bacalhau.models.wire.messages import Progress

_PAUSE = 0.2  # seconds between two looks at what changed
_STALE = 3.0  # seconds after which a stage beside another one is over, where its end was not told
_MARGIN = 3  # lines of the terminal that stay free, so that what was said before remains in sight
_WITH_NODE, _WITH_BAR = 64, 48  # columns from which on there is room for them
_ID, _STAGE, _BAR = 10, 10, 16
_MARKS = {COMPLETED: ("✓", "+", GREEN), FAILED: ("✗", "x", RED), STOPPED: ("■", "-", YELLOW)}
_COLOURS = {"running": CYAN, COMPLETED: GREEN, FAILED: RED, STOPPED: YELLOW}
_WAITING = "queued"
_SIDE_BY_SIDE = ("preparing", "pulling", "staging")


class _Row:
    """An execution: its node and stage, and the latest step of each stage. Times are monotonic seconds."""

    def __init__(self, execution_id: str, now: float) -> None:
        self.id = short_id(execution_id)
        self.node = ""
        self.stage = PLACED
        self.note = ""
        self.began = self.changed = now
        self.ended = 0.0
        self._steps: dict[str, tuple[Progress, float]] = {}

    @property
    def has_ended(self) -> bool:
        return self.stage in ENDED

    def enter(self, stage: str, now: float) -> None:
        """Note the stage that an event told."""
        self._steps.clear()
        self.stage, self.changed = stage, now
        self.ended = now if stage in ENDED else 0.0

    def take(self, step: Progress, now: float) -> None:
        """Note a step. Of stages side by side the one that was told first is shown until it is over."""
        told = {stage: at for stage, at in self._steps.items() if now - at[1] < _STALE and not _is_over(at[0])}
        if step.stage not in _SIDE_BY_SIDE:
            told.clear()
        told[step.stage] = (step, now)
        self._steps = told
        self.stage, self.changed = next(iter(told)), now

    def step(self) -> Progress:
        return self._steps[self.stage][0] if self.stage in self._steps else Progress()

    def seconds(self, now: float) -> float:
        return (self.ended or now) - self.began


def _is_over(step: Progress) -> bool:
    return 0 < step.bytes_total <= step.bytes_done or (not step.bytes_total and 0 < step.total <= step.done)


class LiveProgress:
    """Draws on stderr while the event loop of its owner runs. `wanted` is the number of executions, 0 where nobody
    knows it.
    """

    def __init__(self, job_id: str, wanted: int = 0) -> None:
        self._block = Block()
        self._job = short_id(job_id)
        self._wanted = wanted
        self._state, self._note = "submitted", ""
        self._rows: dict[str, _Row] = {}
        self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._may_draw = True

    def event(self, event: JobHistory) -> None:
        details = event.event.details or {}
        state = details.get("NewState", "")
        if event.event.topic == Topic.QUEUEING or state == "Queued":
            self._state, self._note = _WAITING, event.event.message.partition(". ")[2]
        elif event.execution_id:
            self._execution(event, details.get("NodeID", ""))
        elif state:
            self._state, self._note = state.lower(), ""
        self._begin()

    def progress(self, step: Progress) -> None:
        now = time.monotonic()
        if not step.execution_id:  # of the job, before it is placed
            self._state, self._note = step.stage, step.note
        elif not (row := self._row(step.execution_id, now)).has_ended:
            row.take(step, now)
        self._begin()

    def hide(self) -> None:
        """Remove the block, so that others may write; it comes back by itself."""
        self._block.hide()

    def allow(self, may_draw: bool) -> None:
        """Keep the block away while a line of others is not at its end."""
        self._may_draw = may_draw

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self._block.close()

    def _execution(self, event: JobHistory, node_id: str) -> None:
        stage, now = stage_after(event), time.monotonic()
        row = self._row(event.execution_id, now)
        row.node = node_id or row.node
        if stage and not row.has_ended:
            row.enter(stage, now)
            row.note = event.event.message if stage == FAILED else ""

    def _row(self, execution_id: str, now: float) -> _Row:
        if execution_id not in self._rows:
            self._rows[execution_id] = _Row(execution_id, now)
        return self._rows[execution_id]

    def _begin(self) -> None:
        if self._timer is None or not self._block.is_shown:
            self._draw()

    def _draw(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._may_draw:
            self._block.draw(self.lines(time.monotonic()))
        self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._draw)

    def lines(self, now: float) -> list[list[Piece]]:
        """Return the block's lines at a moment, in monotonic seconds, for the terminal as it is."""
        columns, height = self._block.size
        room = max(height - _MARGIN, 1)
        rows = list(self._rows.values())
        if len(rows) > room:
            newest = sorted(rows, key=lambda row: (not row.has_ended, row.changed))[-room:]
            rows = [row for row in rows if row in newest]
        return [self._head(columns, now), *(_line(row, columns, now) for row in rows)]

    def _head(self, columns: int, now: float) -> list[Piece]:
        note = self._note or (self._counts() if len(self._rows) > 1 else "")
        state = self._state if not self._rows or self._state != _WAITING else "running"
        left = [Piece(f"{self._job}  ", BOLD), Piece(state, _COLOURS.get(state, YELLOW))]
        return with_time(left, [Piece(f"  {one_line(note)}", DIM)] if note else [], now - self._began, columns)

    def _counts(self) -> str:
        return count_stages([row.stage for row in self._rows.values()], self._wanted)


def _line(row: _Row, columns: int, now: float) -> list[Piece]:
    mark = _MARKS.get(row.stage)
    sign = (mark[0] if can_show(mark[0], sys.stderr) else mark[1]) if mark else " "
    left = [Piece(f"{sign} ", mark[2] if mark else ""), Piece(f"{row.id:{_ID}}  ")]
    if columns >= _WITH_NODE:
        left.append(Piece(f"{filled(short_id(one_line(row.node)), _ID)}  ", DIM))
    left.append(Piece(f"{filled(one_line(row.stage), _STAGE)}  ", _COLOURS.get(row.stage, "")))
    return with_time(left, _middle(row, columns), row.seconds(now), columns)


def _middle(row: _Row, columns: int) -> list[Piece]:
    """Draw how far a stage is: a bar where a size is known, amounts, and what it waits for."""
    step, pieces = row.step(), list[Piece]()
    share = step.bytes_done / step.bytes_total if step.bytes_total else step.done / step.total if step.total else None
    if share is not None and columns >= _WITH_BAR:
        pieces += [*bar(share, _BAR, sys.stderr), Piece(" ")]
    amounts = amounts_of([step] if not step.bytes_total else [_bytes_alone(step)])
    note = one_line(step.note or row.note)
    return [*pieces, Piece(amounts), Piece(f"{' ' if amounts else ''}{note}" if note else "", DIM)]


def _bytes_alone(step: Progress) -> Progress:
    return Progress(bytes_done=step.bytes_done, bytes_total=step.bytes_total)


def with_time(left: Iterable[Piece], middle: Sequence[Piece], seconds: float, columns: int) -> list[Piece]:
    """Put a time at the right end of a line; what does not fit before it is cut."""
    clock = show_time(seconds)
    room, found = columns - len(clock) - 1, list[Piece]()
    for text, colour in (*left, *middle):
        part = cut(text, room)
        room -= columns_of(part)
        found.append(Piece(part, colour))
    return [*found, Piece(" " * (room + 1)), Piece(clock, DIM)]


def show_time(seconds: float) -> str:
    """Write seconds as `0:07`, `12:34` or `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
