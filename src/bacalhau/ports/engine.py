"""The port of engines, which run a task: a container engine, a WebAssembly runtime."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from bacalhau.border.places import Held
from bacalhau.border.printed import LIMIT
from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.resources import Resources
from bacalhau.ports.progress import Report


class Mount(NamedTuple):
    """A host path that appears at `target` (absolute) inside the task.

    Where `held` is given, `host_path` leads to it, through `/proc`: jobs may change the folders of `held.place`. An
    engine mounts what is held, or compares what it mounted with it before the task starts, or raises EngineFailure.
    `own`: it lies in the folder of the execution. This process can read and remove what the task left there when `run`
    returns.
    """

    host_path: Path
    target: str
    read_only: bool
    held: Held | None = None
    own: bool = False


class EngineTask(NamedTuple):
    """Everything an engine needs to run one execution.

    `params` are the job's Engine.Params. `stdout` and `stderr` are files the engine writes while the task runs,
    complete when `run` returns; an engine that writes them makes their folder, and keeps at most about `output_limit`
    bytes of each (`border/printed.py` does both). `image` is what `prepare` returned, or "" where it was not called.
    """

    execution_id: str
    job_id: str
    node_id: str
    params: dict[str, Any]
    env: dict[str, str]
    mounts: tuple[Mount, ...]
    resources: Resources
    network: NetworkConfig
    stdout: Path
    stderr: Path
    image: str = ""
    output_limit: int = LIMIT


class Exit(NamedTuple):
    """The end of a task that ended by itself.

    A non-zero code is not an error. `image` is what really ran, pinned where it can be.
    """

    code: int
    image: str = ""


@runtime_checkable
class Engine(Protocol):
    """Failures are EngineFailure (the task cannot run) or Unavailable (the engine cannot be reached), cause first."""

    async def check(self) -> None:
        """Return when tasks can be run now, else raise Unavailable saying why."""
        ...

    async def run(self, task: EngineTask, report: Report) -> Exit:
        """Start the task, or attach again to the one of this execution that is still there, and wait for its end.

        May be called again for the same execution after a restart of this process, also when the task has ended
        meanwhile. Cancelling the call ends the watching, not the work. On return nothing of the task is left in the
        engine.
        """
        ...

    async def stop(self, execution_id: str, grace: float) -> None:
        """End the task: ask, wait `grace` seconds, kill, and remove it.

        Safe at any time, twice, and when there is none.

        A `run` that is watching it then returns its exit code as usual.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """An engine that has something to fetch before `run`; the runner does it while inputs are staged."""

    async def prepare(self, params: dict[str, Any], report: Report) -> str:
        """Bring the image (stage "pulling") and return the reference that pins it.

        Safe to call at once from many executions.
        """
        ...


@runtime_checkable
class Sweeps(Protocol):
    """An engine that can leave things behind when its node is killed."""

    async def sweep(self, node_id: str, keep: frozenset[str]) -> list[str]:
        """Remove this node's leftovers except those of executions in `keep`; returns the execution ids removed."""
        ...
