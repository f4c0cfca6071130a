"""The port of sources and publishers that do not serve every job: the administrator of a node opens them to some."""

from functools import cache
from typing import Protocol, cast, runtime_checkable

from bacalhau.models.job.spec import SpecConfig
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


@cache
def _is_guarded(kind: type) -> bool:
    return issubclass(kind, Guarded)


def list_objections(plugin: Storage | Publisher | None, spec: SpecConfig, namespace: str) -> list[str]:
    """List the objections of a source or publisher; one that is not Guarded, or None, has none."""
    if plugin is None or not _is_guarded(type(plugin)):
        return []
    return cast(Guarded, plugin).list_objections(spec, namespace)
