"""Thins an execution's progress reports: nothing for what is over at once, and a few a second for what takes long."""

import asyncio
from collections.abc import Callable

from bacalhau.border.names import shorten
from bacalhau.models.wire.messages import Progress
from bacalhau.ports.progress import Step

QUIET = 0.05  # seconds a stage must last before it is told
INTERVAL = 0.2
_NOTE = 200  # characters: a server's words may be in it


class Reporter:
    """Callable as ports.progress.Report. `tell` gets the latest report, never two within INTERVAL."""

    def __init__(self, job_id: str, execution_id: str, tell: Callable[[Progress], None]) -> None:
        self._job_id = job_id
        self._execution_id = execution_id
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None
        self._latest: dict[str, Step] = {}
        self._delay = QUIET

    def __call__(self, step: Step) -> None:
        self._latest.pop(step.stage, None)
        self._latest[step.stage] = step
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._flush)

    def finished(self, stage: str) -> None:
        """The stage is over: what runs beside it is told instead."""
        self._latest.pop(stage, None)

    def _flush(self) -> None:
        self._timer = None
        self._delay = INTERVAL
        if self._latest:
            step = next(reversed(self._latest.values()))
            self._tell(
                Progress(
                    execution_id=self._execution_id,
                    job_id=self._job_id,
                    stage=step.stage,
                    done=step.done,
                    total=step.total,
                    bytes_done=step.bytes_done,
                    bytes_total=step.bytes_total,
                    note=shorten(step.note, _NOTE),
                )
            )

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
