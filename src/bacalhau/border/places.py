"""Places on this machine's disk that strangers may name, and whose folders strangers may change.

A path is only a name: between the moment at which it is checked and the moment at which it is used, somebody with write
access to one of its folders can put a symbolic link there. Here a path is opened name by name, no link is followed, and
what was opened is kept: it stays the same, whatever happens to the names that led to it.
"""

import errno
import os
import stat
from enum import StrEnum
from pathlib import Path

_LOOK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC


class CreateAs(StrEnum):
    """The thing to make where nothing is."""

    NO_CREATE = "nocreate"
    DIR = "dir"
    FILE = "file"


class Held:
    """An open file or folder, found at `place`. It is closed with its last user."""

    def __init__(self, descriptor: int, place: str) -> None:
        self.descriptor, self.place = descriptor, place

    def __del__(self) -> None:
        os.close(self.descriptor)

    @property
    def path(self) -> Path:
        """A path that leads to what is open, for every process that sees this one and may look into it."""
        return Path(f"/proc/{os.getpid()}/fd/{self.descriptor}")

    @property
    def mode(self) -> int:
        return os.fstat(self.descriptor).st_mode

    def is_same(self, other: "Held") -> bool:
        """Tell whether both are one file or folder, whatever names and mounts led there."""
        return os.path.samestat(os.fstat(self.descriptor), os.fstat(other.descriptor))


def hold_place(path: str, create: CreateAs = CreateAs.NO_CREATE, root: str = "/") -> Held:
    """Open an absolute path without `.` and `..`, and make what is missing as `create` says, for this user alone.

    The path begins at `root`, such as `/proc/1/root/.` for the files that process 1 sees.
    Raises OSError; its `errno` is ELOOP where a symbolic link stands in the path.
    """
    names = [name for name in path.split("/") if name]
    held = Held(os.open(root, _LOOK), "/")
    for at, name in enumerate(names, 1):
        held = _step(held, name, create if at == len(names) or create is CreateAs.NO_CREATE else CreateAs.DIR)
    return held


def _step(folder: Held, name: str, create: CreateAs) -> Held:
    try:
        descriptor = os.open(name, _LOOK, dir_fd=folder.descriptor)
    except FileNotFoundError:
        if create is CreateAs.NO_CREATE:
            raise
        _make(folder, name, create)
        descriptor = os.open(name, _LOOK, dir_fd=folder.descriptor)
    found = Held(descriptor, os.path.join(folder.place, name))
    if stat.S_ISLNK(found.mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), found.place)
    return found


def _make(folder: Held, name: str, create: CreateAs) -> None:
    try:
        if create is CreateAs.DIR:
            os.mkdir(name, 0o700, dir_fd=folder.descriptor)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder.descriptor))
    except FileExistsError:
        return  # somebody else made it at the same moment
