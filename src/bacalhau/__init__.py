"""Compute over data. Clients, handles, models and errors are imported when they are asked for.

Every error of the library is a `BacalhauError`, with `message`, `hint` (what to do about it) and `retryable`; `str` of
one tells message and hint.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bacalhau.client.building import JobOptions
    from bacalhau.client.client import AsyncClient
    from bacalhau.client.handle import AsyncJob, Job
    from bacalhau.client.sync import Client
    from bacalhau.lib.errors import (
        BacalhauError,
        BadRequest,
        Conflict,
        EngineFailure,
        Forbidden,
        NotFound,
        PublisherFailure,
        StorageFailure,
        TimedOut,
        Unauthorized,
        Unavailable,
    )
    from bacalhau.models.execution.event import JobHistory
    from bacalhau.models.execution.execution import Execution
    from bacalhau.models.job.job import InputSource, ResultPath, Task
    from bacalhau.models.job.job import Job as JobSpec
    from bacalhau.models.job.spec import SpecConfig
    from bacalhau.models.node.node import NodeState

    __version__: str

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "BacalhauError",
    "BadRequest",
    "Client",
    "Conflict",
    "EngineFailure",
    "Execution",
    "Forbidden",
    "InputSource",
    "Job",
    "JobHistory",
    "JobOptions",
    "JobSpec",
    "NodeState",
    "NotFound",
    "PublisherFailure",
    "ResultPath",
    "SpecConfig",
    "StorageFailure",
    "Task",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
]

_HOMES = {
    "AsyncClient": "client.client",
    "AsyncJob": "client.handle",
    "Client": "client.sync",
    "Execution": "models.execution.execution",
    "InputSource": "models.job.job",
    "Job": "client.handle",
    "JobHistory": "models.execution.event",
    "JobOptions": "client.building",
    "NodeState": "models.node.node",
    "ResultPath": "models.job.job",
    "SpecConfig": "models.job.spec",
    "Task": "models.job.job",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("bacalhau")
    if name == "JobSpec":
        return import_module("bacalhau.models.job.job").Job
    if name not in __all__:
        raise AttributeError(f"module 'bacalhau' has no attribute {name!r}")
    return getattr(import_module(f"bacalhau.{_HOMES.get(name, 'lib.errors')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
