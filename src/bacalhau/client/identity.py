"""The identity of this client: 64 hexadecimal digits in the data directory, made on first use.

They tell whose a job is, so that `list` shows one's own; they are no credential.
"""

import secrets
from pathlib import Path

from bacalhau.client.private_file import put_first

_FILE = "client_id"


def client_id(data_dir: Path) -> str:
    """Return this client's id, the same on every call; "" where the data directory cannot be written."""
    path = data_dir / _FILE
    try:
        return path.read_text().strip() or _make(path)
    except FileNotFoundError:
        return _make(path)
    except (OSError, UnicodeDecodeError):
        return ""


def _make(path: Path) -> str:
    try:
        put_first(path, secrets.token_hex(32) + "\n")
        return path.read_text().strip()
    except OSError:
        return ""
