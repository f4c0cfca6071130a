"""Plug-ins of other packages: found by their entry points, and kept from harming whoever loads them.

A package announces a manifest in the entry point group `bacalhau.plugins`. Whatever goes wrong with it, on import or
when one of its targets is called, becomes an Unavailable that names the package and the cure.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

import msgspec

from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.ports.plugin import Plugin, Target

GROUP = "bacalhau.plugins"


class Owner(NamedTuple):
    """The origin of a plug-in: its name, and the package that brings it, as `name version`; "" for our own."""

    plugin: str
    package: str = ""

    def failure(self, reason: str) -> Unavailable:
        """Make the error that names plug-in, package and cure."""
        package = self.package.partition(" ")[0]
        return Unavailable(
            f"plug-in {self.plugin} of package {self.package} {reason}",
            hint=f"mend it with `pip install --upgrade {package}`, or do without it: `pip uninstall {package}`",
        )


class Found(NamedTuple):
    """An entry point: its manifest, or the error that keeps it from being used."""

    name: str
    owner: Owner
    plugin: Plugin | None
    error: Unavailable | None = None


def find_plugins() -> Iterator[Found]:
    """Load the manifests of all installed packages, ordered by name and package."""
    entries = [(entry, _package_of(entry)) for entry in entry_points(group=GROUP)]
    for entry, package in sorted(entries, key=lambda item: (item[0].name, item[1])):
        yield _load(entry, Owner(entry.name, package))


def call(target: Target, owner: Owner, kind: type, *args: Any) -> Any:
    """Import a target, call it and return its result, which must be a `kind`.

    Raises the BacalhauError that it raises, and Unavailable for every other fault of another package's code.
    """
    try:
        made = import_target(target)(*args)
    except BacalhauError:
        raise
    except Exception as e:
        if not owner.package:
            raise
        raise owner.failure(f"fails in {target}: {type(e).__name__}: {e}") from e
    if not isinstance(made, kind):
        raise owner.failure(f"is wrong: {target} returns {type(made).__name__}, which is not a {kind.__name__}")
    return made


@cache
def import_target(target: Target) -> Any:
    """Return the attribute that `module:attribute` names, importing its module now."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _package_of(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _load(entry: EntryPoint, owner: Owner) -> Found:
    try:
        return Found(entry.name, owner, _read_manifest(entry, owner))
    except Unavailable as e:
        return Found(entry.name, owner, None, e)


def _read_manifest(entry: EntryPoint, owner: Owner) -> Plugin:
    try:
        manifest = entry.load()
    except Exception as e:
        raise owner.failure(f"cannot be loaded: {entry.value}: {type(e).__name__}: {e}") from e
    if not isinstance(manifest, Plugin):
        kind = type(manifest).__name__
        raise owner.failure(f"is wrong: {entry.value} is a {kind}, not a bacalhau.ports.plugin.Plugin")
    try:  # a struct's own constructor takes values of any type
        return msgspec.convert(msgspec.to_builtins(manifest), Plugin)
    except (msgspec.ValidationError, TypeError) as e:
        raise owner.failure(f"is wrong: {entry.value}: {e}") from e
