"""One long operation on a terminal as one line that is drawn again: what it does, a bar, amounts, and the time left."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bacalhau.cli.output.block import DIM, Block, Piece, bar, is_live, one_line
from bacalhau.cli.output.live import with_time
from bacalhau.cli.output.stages import amounts_of
from bacalhau.lib.units import show_bytes
from bacalhau.models.wire.messages import Progress
from bacalhau.ports.progress import Report, Step, ignore

_PAUSE = 0.1  # seconds between two drawings
_BAR = 20
_SURE = 1.0  # seconds after which a speed means something


@contextmanager
def live_step() -> Iterator[Report]:
    """Give the Report that draws each step on stderr; where nobody is looking, one that ignores them."""
    if not is_live(sys.stderr):
        yield ignore
        return
    line = _StepLine(Block())
    try:
        yield line.report
    finally:
        line.block.close()


class _StepLine:
    def __init__(self, block: Block) -> None:
        self.block = block
        self._began = time.monotonic()
        self._drawn = -_PAUSE

    def report(self, step: Step) -> None:
        now = time.monotonic()
        if now - self._drawn >= _PAUSE:
            self._drawn = now
            self.block.draw([self.line(step, now - self._began)])

    def line(self, step: Step, seconds: float) -> list[Piece]:
        """Draw a step that has taken so many seconds."""
        columns = self.block.size.columns
        middle = [Piece(_amounts(step)), Piece(_speed(step, seconds), DIM)]
        if step.bytes_total:
            middle[:0] = [*bar(step.bytes_done / step.bytes_total, min(_BAR, columns // 5), sys.stderr), Piece(" ")]
        return with_time([Piece(f"{one_line(step.note) or step.stage}  ")], middle, seconds, columns)


def _amounts(step: Step) -> str:
    done = Progress(bytes_done=step.bytes_done, bytes_total=step.bytes_total)
    return amounts_of([done if step.bytes_total else Progress(done=step.done, total=step.total)])


def _speed(step: Step, seconds: float) -> str:
    """Write the speed so far, and the seconds that are left at this speed."""
    if seconds < _SURE or not step.bytes_done:
        return ""
    speed = step.bytes_done / seconds
    left = max(0, step.bytes_total - step.bytes_done) / speed
    return f"  {show_bytes(round(speed))}/s" + (f", {left:.0f} s left" if left else "")
