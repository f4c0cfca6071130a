"""Named servers in the data directory: `profiles/NAME.yaml` each, and `profiles/current`, a link to the one in use.

The files are the original's.
"""

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from bacalhau.client.private_file import write_private
from bacalhau.lib.errors import BadRequest, NotFound
from bacalhau.lib.units import parse_duration
from bacalhau.lib.written import settled
from bacalhau.lib.yaml_text import read_text
from bacalhau.models.text.document import read_document

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
CURRENT = "current"
DEFAULT_TIMEOUT = "30s"


class Credential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    token: str = ""


class Trust(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rules by which a server's certificate is trusted; `cacert` is a PEM file, or "" for the system's authorities
    alone.
    """

    insecure: bool = False
    cacert: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One named server. `timeout` is the longest that an answer may take, as Go writes durations (`30s`)."""

    endpoint: str
    description: str = ""
    timeout: str = msgspec.field(default_factory=lambda: DEFAULT_TIMEOUT)
    auth: Credential = Credential()
    tls: Trust = Trust()

    @property
    def seconds(self) -> float:
        try:
            return parse_duration(self.timeout)
        except ValueError as e:
            raise BadRequest(
                f'the timeout "{self.timeout}" of a profile is no duration', hint="write it as 30s or 1m30s"
            ) from e


class Profiles:
    """The profiles of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._home = data_dir / "profiles"

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._home.glob("*.yaml") if _NAME.fullmatch(path.stem))

    def current(self) -> str:
        """Name the selected profile; "" when none was selected, or the selected one is gone."""
        try:
            name = Path(os.readlink(self._home / CURRENT)).stem
        except OSError:
            return ""
        return name if self._path(name).is_file() else ""

    def get(self, name: str) -> Profile:
        """Read a profile. Raises NotFound, or BadRequest for a file that holds no profile."""
        path = self._path(name)
        try:
            tree, _ = read_document(read_text(path))
        except FileNotFoundError as e:
            raise NotFound(f'profile "{name}" not found', hint="`bacalhau profile list` lists them") from e
        except (OSError, BadRequest) as e:
            raise BadRequest(f"cannot read the profile {path}: {e}") from e
        try:
            return msgspec.convert(settled(tree, Profile), Profile)
        except msgspec.ValidationError as e:
            raise BadRequest(
                f"cannot read the profile {path}: {e}", hint="`bacalhau profile save` writes it anew"
            ) from e

    def put(self, name: str, profile: Profile) -> None:
        """Write a profile that only its owner can read, because it may hold a token."""
        self._home.mkdir(parents=True, exist_ok=True)
        tree: dict[str, Any] = msgspec.to_builtins(profile)
        write_private(self._path(name), import_module("yaml").safe_dump(tree, sort_keys=False))

    def select(self, name: str) -> None:
        """Make a profile the one that is used. Raises NotFound."""
        self.get(name)
        fresh = self._home / f"{CURRENT}.{os.getpid()}"
        fresh.symlink_to(self._path(name).name)
        fresh.replace(self._home / CURRENT)

    def delete(self, name: str) -> None:
        """Remove a profile. Raises NotFound."""
        self.get(name)
        if self.current() == name:
            (self._home / CURRENT).unlink()
        self._path(name).unlink()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or name == CURRENT:
            raise BadRequest(
                f'"{name}" cannot be the name of a profile',
                hint=f"use letters, digits, '.', '_' and '-'; {CURRENT} is taken",
            )
        return self._home / f"{name}.yaml"
