"""Compute over data. `Client`, `AsyncClient` and the errors that they raise are imported when they are asked for.

Every error of the library is a `BacalhauError`, with `message`, `hint` (what to do about it) and `retryable`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bacalhau.client.client import AsyncClient
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

__all__ = [
    "AsyncClient",
    "BacalhauError",
    "BadRequest",
    "Client",
    "Conflict",
    "EngineFailure",
    "Forbidden",
    "NotFound",
    "PublisherFailure",
    "StorageFailure",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
]

_HOMES = {"AsyncClient": "bacalhau.client.client", "Client": "bacalhau.client.sync"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'bacalhau' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "bacalhau.lib.errors")), name)


def __dir__() -> list[str]:
    return __all__
