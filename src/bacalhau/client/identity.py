"""Who this client is: 64 hexadecimal digits in the data directory, made on first use.

They tell whose a job is, so that `list` shows one's own; they are no credential.
"""

import os
import secrets
from pathlib import Path

_FILE = "client_id"


def client_id(data_dir: Path) -> str:
    """The id, the same on every call; "" where none can be kept."""
    path = data_dir / _FILE
    try:
        return path.read_text().strip() or _make(path)
    except FileNotFoundError:
        return _make(path)
    except (OSError, UnicodeDecodeError):
        return ""


def _make(path: Path) -> str:
    made = path.with_name(f"{_FILE}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(secrets.token_hex(32) + "\n")
        try:
            # A link appears whole, and only for the first of two clients that start together.
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return path.read_text().strip()
    except OSError:
        return ""
