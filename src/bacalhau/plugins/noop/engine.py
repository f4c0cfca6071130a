"""Runs nothing: for tests and benchmarks of everything around an engine."""

import asyncio
import os
from typing import Any

from bacalhau.lib.errors import BadRequest, EngineFailure
from bacalhau.lib.wire import Model, convert_all, fold_keys
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.engine import EngineTask, Exit
from bacalhau.ports.progress import Report

MAX_SLEEP = 3600.0
STOPPED = 137  # as a container that was killed


class NoopParams(Model):
    """`sleep` is in seconds, at most MAX_SLEEP; `stdout` is what the task says."""

    exit_code: int = 0
    sleep: float = 0.0
    stdout: str = ""


def _read(raw: dict[str, Any] | None) -> NoopParams:
    folded, unknown = fold_keys(raw or {}, NoopParams)
    if unknown:
        raise BadRequest("\n".join(f"unknown noop engine param: '{key}'" for key in unknown))
    return convert_all(folded, NoopParams)


def check_engine(spec: SpecConfig) -> list[str]:
    """All problems of a noop engine's parameters."""
    try:
        params = _read(spec.params)
    except BadRequest as e:
        return e.message.splitlines()
    return (
        []
        if 0 <= params.sleep <= MAX_SLEEP
        else [f"invalid noop engine param: 'Sleep' must be 0 to {MAX_SLEEP:g} seconds: {params.sleep:g}"]
    )


class NoopEngine:
    """An Engine. A task that is run again after a restart begins again."""

    def __init__(self) -> None:
        self._stops: dict[str, asyncio.Event] = {}

    async def check(self) -> None:
        """Always ready."""

    async def run(self, task: EngineTask, report: Report) -> Exit:
        try:
            params = _read(task.params)
        except BadRequest as e:
            raise EngineFailure(e.message) from e
        stop = self._stops[task.execution_id] = asyncio.Event()
        try:
            _write(task, params.stdout)
            stopped = params.sleep > 0 and await _sleep(min(params.sleep, MAX_SLEEP), stop)
        finally:
            del self._stops[task.execution_id]
        return Exit(STOPPED if stopped else params.exit_code)

    async def stop(self, execution_id: str, grace: float) -> None:
        if (stop := self._stops.get(execution_id)) is not None:
            stop.set()


async def _sleep(seconds: float, stop: asyncio.Event) -> bool:
    """True when stopped before its time."""
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


def _write(task: EngineTask, stdout: str) -> None:
    """Small enough to do without a thread; without a result tree and without text there is nothing to write."""
    if not stdout and not task.stdout.parent.exists():
        return
    os.makedirs(task.stdout.parent, exist_ok=True)
    for path, text in ((task.stdout, stdout), (task.stderr, "")):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(descriptor, text.encode())
        os.close(descriptor)
