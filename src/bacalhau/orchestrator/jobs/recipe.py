"""The parts of a task that decide what it does, without the values of environment variables, which may be secret."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from bacalhau.models.job.job import Task
from bacalhau.models.job.spec import SpecConfig

_VARIABLES = ("environmentvariables", "environment", "env")  # parameters of engines, in lower case
_COMMAND = ("entrypoint", "parameters")


class Recipe(NamedTuple):
    """The engine with its other settings, the command line, and the names of environment variables, sorted."""

    engine: SpecConfig
    command: tuple[str, ...]
    environment: tuple[str, ...]


def read_recipe(task: Task) -> Recipe:
    """Tell what a task does. Variables are taken out of the engine's parameters, whatever their case."""
    settings: dict[str, Any] = {}
    command: dict[str, tuple[str, ...]] = {}
    names = set(task.env or ())
    for name, value in (task.engine.params or {}).items():
        kind = name.lower()
        if kind in _VARIABLES:
            names.update(entry.partition("=")[0] for entry in _texts(value))
        elif kind in _COMMAND:
            command[kind] = tuple(_texts(value))
        elif value is not None:
            settings[name] = value
    words = tuple(word for kind in _COMMAND for word in command.get(kind, ()))
    return Recipe(SpecConfig(type=task.engine.type, params=settings), words, tuple(sorted(names)))


def _texts(value: Any) -> Iterable[str]:
    """List the texts of a list, the keys of a map, or one text."""
    if isinstance(value, list | tuple | dict):
        return [str(each) for each in value]
    return [] if value is None else [str(value)]
