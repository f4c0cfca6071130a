"""A record of one attempt, for the node that restarts while the task may still run. It is kept beside the files of the
task and written before the engine starts.
"""

import os
from pathlib import Path

import msgspec

from bacalhau.lib.wire import Model, decode, encode
from bacalhau.models.job.network import PortMapping
from bacalhau.models.job.resources import GPU
from bacalhau.ports.engine import Mount

FILE = "attempt.json"


class MountRecord(Model):
    host_path: str
    target: str
    read_only: bool
    own: bool = False


class Attempt(Model):
    """`image` pins what runs; the mounts are complete: inputs need not be staged again. Those that are used in
    place are asked for again.

    `started` is Unix ns, and `staged` when its inputs and its image were there. Ports and GPUs are the task's own.
    """

    image: str = ""
    started: int = 0
    staged: int = 0
    mounts: tuple[MountRecord, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    gpus: tuple[GPU, ...] = ()

    @property
    def is_worth_keeping(self) -> bool:
        """Another process could not find all this out again."""
        return bool(self.mounts or self.ports or self.gpus)

    def as_mounts(self) -> tuple[Mount, ...]:
        return tuple(Mount(Path(m.host_path), m.target, m.read_only, own=m.own) for m in self.mounts)


def record_mounts(mounts: tuple[Mount, ...]) -> tuple[MountRecord, ...]:
    """Record mounts by the paths that people know: what is held open ends with this process."""
    return tuple(
        MountRecord(
            host_path=m.held.place if m.held else str(m.host_path), target=m.target, read_only=m.read_only, own=m.own
        )
        for m in mounts
    )


def write_attempt(folder: Path, attempt: Attempt) -> None:
    folder.mkdir(exist_ok=True)
    part = folder / f"{FILE}.part"
    part.write_bytes(encode(attempt))
    os.replace(part, folder / FILE)


def read_attempt(folder: Path) -> Attempt | None:
    """Read the record of an attempt; None when the engine was not reached, or a loss of power took the record."""
    try:
        return decode((folder / FILE).read_bytes(), Attempt)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
