"""Runs nothing: for tests and benchmarks of everything around an engine."""

import asyncio
import os

from bacalhau.lib.errors import BadRequest, EngineFailure
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_params, require_params
from bacalhau.ports.engine import EngineTask, Exit
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report

MAX_SLEEP = 3600.0
STOPPED = 137  # as a container that was killed


class NoopParams(Model):
    """`sleep` is in seconds, at most MAX_SLEEP; `stdout` is what the task says."""

    exit_code: int = 0
    sleep: float = 0.0
    stdout: str = ""


def check_engine(spec: SpecConfig) -> list[str]:
    """List every problem of a noop engine's parameters."""
    params, problems = read_params(spec, NoopParams)
    if params and not 0 <= params.sleep <= MAX_SLEEP:
        problems.append(f"'Sleep' must be 0 to {MAX_SLEEP:g} seconds: {params.sleep:g}")
    return [f"invalid noop engine param: {problem}" for problem in problems]


class NoopEngine:
    """An Engine. A task that is run again after a restart begins again."""

    def __init__(self) -> None:
        self._stops: dict[str, asyncio.Event] = {}

    async def check(self) -> None:
        """Always ready."""

    async def run(self, task: EngineTask, report: Report) -> Exit:
        try:
            params = require_params(SpecConfig(type="noop", params=task.params), NoopParams)
        except BadRequest as e:
            raise EngineFailure(e.problems) from e
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
    """Sleep; return True when stopped before its time."""
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


def make_engine(setting: Setting) -> NoopEngine:
    return NoopEngine()


def check_publisher(spec: SpecConfig) -> list[str]:
    """Accept anything: `noop` is the original's name for a job that keeps no results."""
    return []
