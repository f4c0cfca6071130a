"""Compute over data. `Client` and `AsyncClient` are imported when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bacalhau.client.client import AsyncClient
    from bacalhau.client.sync import Client

__all__ = ["AsyncClient", "Client"]

_HOMES = {"AsyncClient": "bacalhau.client.client", "Client": "bacalhau.client.sync"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'bacalhau' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
