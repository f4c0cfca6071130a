"""The identity of a node: an id and a secret, made once per data directory."""

import os
import secrets
import socket
from pathlib import Path

from bacalhau.lib.ids import new_node_id, new_uuid
from bacalhau.lib.wire import Model, decode, encode

FILE = "node.json"


class Identity(Model):
    """`secret` proves the id to the orchestrator; it never leaves the node but over the bus."""

    id: str
    secret: str


def new_name(provider: str) -> str:
    """A node id as NameProvider says: `puuid` n-UUID, `uuid` a bare one, `hostname` this machine's name with dashes for
    dots.
    """
    if provider == "hostname":
        return socket.gethostname().replace(".", "-")
    return new_uuid() if provider == "uuid" else new_node_id()


def load_identity(folder: Path, name: str = "") -> Identity:
    """The identity of `folder`; made on first use. `name` is the id a new one gets."""
    path = folder / FILE
    if path.exists():
        return decode(path.read_bytes(), Identity)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Identity(id=name or new_node_id(), secret=secrets.token_hex(16))
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encode(made))
        os.fsync(file.fileno())
    os.replace(part, path)
    return made
