"""Paths of the node as inputs: bound where they are, within what the administrator allows; never copied,
never removed.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from bacalhau.lib.errors import StorageFailure, Unavailable
from bacalhau.models.job.spec import SpecConfig, require_params
from bacalhau.plugins.local.allow import read_rule
from bacalhau.plugins.local.params import CreateAs, LocalParams
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.storage import WHOLE, Entry, Manifest, Partition, Volume

_HINT = "Compute.AllowListedLocalPaths in the node's configuration says what jobs may mount, as PATTERN or PATTERN:rw"


class LocalSource:
    """`allowed`: patterns `pattern[:rw|:ro]`, see `allow.Rule`; none allows nothing."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._rules = tuple(read_rule(text) for text in allowed if text.strip())

    async def check(self) -> None:
        if not self._rules:
            raise Unavailable("no local paths are allowed on this node", hint=_HINT)
        for rule in self._rules:
            if not rule.is_absolute:
                raise Unavailable(f"allowed local path {rule.pattern!r} is not absolute", hint=_HINT)

    async def is_here(self, source: SpecConfig) -> bool:
        """Tell whether the path is there. One that is only allowed to be made is not."""
        return await asyncio.to_thread(lambda: _exists(self._permit(require_params(source, LocalParams))))

    async def resolve(self, source: SpecConfig, part: Partition = WHOLE) -> Manifest:
        """One entry of size 0: what is used in place takes no room."""
        params = require_params(source, LocalParams)
        real = await asyncio.to_thread(self._permit, params)
        return Manifest(source, (Entry(params.place, os.path.basename(real), 0),))

    async def fetch(self, manifest: Manifest, into: Path, report: Report) -> Volume:
        params = require_params(manifest.source, LocalParams)
        real = await asyncio.to_thread(self._prepare, params)
        report(Step("staging", 1, 1))
        return Volume(Path(real), read_only=not params.write)

    def _permit(self, params: LocalParams) -> str:
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
        if not (_exists(real) or (params.write and params.create is not CreateAs.NO_CREATE)):
            cure = "check the path on the node, or let it be made: CreateAs dir or file together with ReadWrite true"
            raise StorageFailure(f"{said} does not exist and creation is not allowed", hint=cure)
        return real

    def _prepare(self, params: LocalParams) -> str:
        real = self._permit(params)
        if not _exists(real):
            _create(real, params.create)
            # Whoever may write there could have put a symlink in the way meanwhile.
            real = self._permit(params)
        return real


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


def _create(path: str, kind: CreateAs) -> None:
    try:
        os.makedirs(path if kind is CreateAs.DIR else os.path.dirname(path), mode=0o700, exist_ok=True)
        if kind is CreateAs.FILE:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    except OSError as e:
        raise StorageFailure(
            f"volume {path} cannot be made: {e.strerror or e}",
            hint="check the owner and mode of its folder on the node",
        ) from e


def make_source(setting: Setting) -> LocalSource:
    return LocalSource(setting.config.compute.allow_listed_local_paths)
