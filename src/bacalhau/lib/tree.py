"""Folders whose content others made: nested as deep as the file system allows, which is deeper than Python recurses."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SHOWN = 80  # characters of a path that is too long to be shown whole


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything below a folder as (relative name with slashes, lstat), sorted, each folder before its content.

    Symbolic links are not followed. Raises OSError, also when a path is longer than the system takes.
    """
    todo = _names(folder, "")
    while todo:
        name = todo.pop()
        status = _checked(folder, name)
        yield name, status
        if stat.S_ISDIR(status.st_mode):
            todo += _names(folder, name + "/")


def _names(folder: Path, prefix: str) -> list[str]:
    return [prefix + name for name in sorted(os.listdir(folder / prefix), reverse=True)]


def _checked(folder: Path, name: str) -> os.stat_result:
    try:
        return os.lstat(folder / name)
    except OSError as e:
        if e.errno != errno.ENAMETOOLONG:
            raise
        limit = os.pathconf("/", "PC_PATH_MAX") - 1
        text = f"folders are nested too deep here: a path may have at most {limit} bytes"
        raise OSError(e.errno, text, f"{name[:_SHOWN]}...") from e


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it. What cannot be removed stays, silently."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        subprocess.run(("rm", "-rf", "--", folder), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
