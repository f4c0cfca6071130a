"""The port of plug-ins that do not serve every job: the administrator of a node opens them to some."""

from functools import cache
from typing import Any, Protocol, cast, runtime_checkable

from bacalhau.models.job.network import NetworkConfig
from bacalhau.models.job.spec import SpecConfig
from bacalhau.ports.engine import Engine
from bacalhau.ports.publisher import Publisher
from bacalhau.ports.storage import Storage


@runtime_checkable
class Guarded(Protocol):
    """A source or publisher that may refuse a job.

    The node asks before it takes an execution, and again right before it reads or writes.
    """

    def list_objections(self, spec: SpecConfig, namespace: str) -> list[str]:
        """List why a job of this namespace may not use what the spec names, each with the setting that decides; empty
        when it may.
        """
        ...


@runtime_checkable
class GuardedEngine(Protocol):
    """An engine that may refuse a task. The node asks before it takes an execution; `run` asks again."""

    def list_task_objections(self, params: dict[str, Any], network: NetworkConfig) -> list[str]:
        """List why no task with these Engine.Params and this network runs here, each with the setting that decides;
        empty when it does.
        """
        ...


@cache
def _is_guarded(kind: type) -> bool:
    return issubclass(kind, Guarded)


def list_objections(plugin: Storage | Publisher | None, spec: SpecConfig, namespace: str) -> list[str]:
    """List the objections of a source or publisher; one that is not Guarded, or None, has none."""
    if plugin is None or not _is_guarded(type(plugin)):
        return []
    return cast(Guarded, plugin).list_objections(spec, namespace)


@cache
def _is_guarded_engine(kind: type) -> bool:
    return issubclass(kind, GuardedEngine)


def list_task_objections(engine: Engine | None, params: dict[str, Any], network: NetworkConfig) -> list[str]:
    """List the objections of an engine; one that is no GuardedEngine, or None, has none."""
    if engine is None or not _is_guarded_engine(type(engine)):
        return []
    return cast(GuardedEngine, engine).list_task_objections(params, network)
