"""Paths of the node as inputs: bound where they are, within what the administrator allows; never copied,
never removed.
"""

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path

from bacalhau.border.places import CreateAs, hold_place
from bacalhau.lib.errors import StorageFailure, Unavailable
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.local.allow import read_rules
from bacalhau.plugins.local.params import LocalParams
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import WHOLE, Entry, Manifest, Partition, Volume

_HINT = "Compute.AllowListedLocalPaths in the node's configuration says what jobs may mount, as PATTERN or PATTERN:rw"
_MODES = "check the owner and mode of its folder on the node"
_CURES = {errno.ELOOP: "a part of the path was replaced by a symbolic link meanwhile: find out which job does that"}


class LocalSource:
    """`allowed`: patterns `pattern[:rw|:ro]`, see `allow.Rule`; none allows nothing.

    A path is looked up once, the rules are asked about where it leads, and that place is opened without following any
    link. Where jobs may change one of its folders, what was opened is what is mounted.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._rules = read_rules(allowed)

    async def check(self) -> None:
        if not self._rules:
            raise Unavailable("no local paths are allowed on this node", hint=_HINT)
        for rule in self._rules:
            if not rule.is_absolute:
                raise Unavailable(f"allowed local path {rule.pattern!r} is not absolute", hint=_HINT)

    async def is_here(self, source: SpecConfig) -> bool:
        """Tell whether the path is there. One that is only allowed to be made is not."""
        return await asyncio.to_thread(lambda: _exists(self._find(require_params(source, LocalParams))))

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """One entry of size 0: what is used in place takes no room."""
        params = require_params(source, LocalParams)
        real = await asyncio.to_thread(self._find, params)
        return Manifest(source, (Entry(params.place, os.path.basename(real), 0),))

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        volume = await self.permit(manifest.source)
        report(Step("staging", 1, 1))
        return volume

    async def permit(self, source: SpecConfig) -> Volume:
        return await asyncio.to_thread(self._open, require_params(source, LocalParams))

    def _find(self, params: LocalParams) -> str:
        """Return where the path really leads. Raises StorageFailure unless it may be mounted so and is there or may be
        made.
        """
        real = os.path.realpath(params.place)
        matching = [rule for rule in self._rules if rule.allows(real)]
        said = f"volume {params.place}"
        if not matching:
            # Where a symlink leads is not told: whoever may not mount a path may not explore it either.
            raise StorageFailure(f"{said} is not allowlisted", hint=f"{_HINT}; symlinks and .. are followed first")
        if params.write and not any(rule.write for rule in matching):
            raise StorageFailure(f"{said} is not granted write access", hint=f"mount it read-only; {_HINT}")
        if not (_exists(real) or _may_make(params)):
            cure = "check the path on the node, or let it be made: CreateAs dir or file together with ReadWrite true"
            raise StorageFailure(f"{said} does not exist and creation is not allowed", hint=cure)
        return real

    def _open(self, params: LocalParams) -> Volume:
        real = self._find(params)
        doing = "opened" if _exists(real) else "made"
        try:
            held = hold_place(real, params.create if _may_make(params) else CreateAs.NO_CREATE)
        except OSError as e:
            raise StorageFailure(
                f"volume {params.place} cannot be {doing}: {e.strerror or e}", hint=_CURES.get(e.errno or 0, _MODES)
            ) from e
        if self._rules.may_change(os.path.dirname(real)):
            return Volume(held.path, not params.write, held)
        return Volume(Path(real), not params.write)


def _may_make(params: LocalParams) -> bool:
    return params.write and params.create is not CreateAs.NO_CREATE


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as e:
        raise StorageFailure(
            f"volume {path} cannot be looked at: {e.strerror or e}", hint="check the path's owner and mode on the node"
        ) from e
    return True


def make_source(setting: Setting) -> LocalSource:
    return LocalSource(setting.config.compute.allow_listed_local_paths)
