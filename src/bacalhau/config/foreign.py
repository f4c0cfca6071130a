"""The folder of the original, the program in Go: known by the files that only it writes.

A client may share that folder, because keys and profiles are the same. The state of a server is another one: a server
that began in that folder would know none of the jobs there, and say so with an empty list.
"""

from pathlib import Path

from bacalhau.lib.errors import Conflict

_MARKS = ("system_metadata.yaml", "repo.version", "libp2p_private_key", "executor_storages")
_STATE = (
    "orchestrator/state_boltdb.db",
    "compute/state_boltdb.db",
    "orchestrator/nats-store",
    "orchestrator_store",
    "compute_store",
)
_OWN = "node.json"


def is_of_original(folder: Path) -> bool:
    """Tell whether the original has used a folder, for a client or a server."""
    return any((folder / name).exists() for name in (*_MARKS, *_STATE))


def refuse_state_of_original(folder: Path) -> None:
    """Raise Conflict where a folder holds the state of a server of the original, and no server of ours began there."""
    if (folder / _OWN).exists():
        return
    found = next((name for name in _STATE if (folder / name).exists()), "")
    if found:
        raise Conflict(
            f"{folder} holds the state of another program, Bacalhau in Go ({found}), which is not read here",
            hint="set BACALHAU_DIR or --data-dir to another folder, or move this one away; clients may go on using it",
        )
