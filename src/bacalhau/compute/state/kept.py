"""The record beside the outputs of an execution that ran and whose result was not published.

The journal says that a node keeps them (state `KEPT`), this record until when. It is written before the journal is: a
process that ends in between publishes them anew.
"""

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from bacalhau.lib.wire import Model, decode, encode
from bacalhau.models.execution.execution import Execution
from bacalhau.models.job.spec import SpecConfig

FILE = "kept.json"
KEPT = "kept"
"""The journal's word for an execution that has ended and whose outputs are kept."""


class KeptRecord(Model):
    """`until` is Unix ns, `bytes` the size of the result. `publisher` is set when they are to be published after
    all.
    """

    until: int = 0
    bytes: int = 0
    publisher: SpecConfig | None = None


class Kept(NamedTuple):
    """An execution with the record of its outputs."""

    execution: Execution
    record: KeptRecord


def write_kept(folder: Path, record: KeptRecord) -> None:
    """Write the record, whole or not at all."""
    part = folder / f"{FILE}.part"
    with part.open("wb") as file:
        file.write(encode(record))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / FILE)


def read_kept(folder: Path) -> KeptRecord | None:
    """Read the record of kept outputs; None where there is none, or a loss of power took it."""
    try:
        return decode((folder / FILE).read_bytes(), KeptRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
