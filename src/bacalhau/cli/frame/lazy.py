"""Imports that wait until their module is needed, so that `--help` starts quickly."""

from importlib import import_module
from typing import Any


def resolve(target: str) -> Any:
    """Import the module of `module:attribute` now and return the attribute."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
