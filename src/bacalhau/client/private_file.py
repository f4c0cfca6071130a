"""Small files in the data directory that only their owner can read. They appear whole, or not at all."""

import os
from pathlib import Path


def write_private(path: Path, text: str, *, as_open: bool = False) -> None:
    """Replace a file; with `as_open` the new one keeps the permissions of the old one. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        if as_open and path.exists():
            os.fchmod(out.fileno(), path.stat().st_mode & 0o777)
        out.write(text)
    fresh.replace(path)


def put_first(path: Path, text: str) -> None:
    """Write a file unless there is one: of two clients that start together the first wins. Raises OSError."""
    made = path.with_name(f"{path.name}.made.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(made, text)
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
