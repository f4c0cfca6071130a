"""The folders that a task sees: modes that any user of an image can work with, and places for mounts inside mounts.

What a source brought into the folder of an execution is the task's own copy: the task may change it, and nobody else
reads it. Its modes are set here, because those of the node's umask or of an archive may shut out a container's user.
A mount below another needs a file or folder to be put on. It is made where the outer mount is the task's own; in a
folder of the node nothing is made.
"""

import os
import posixpath
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.tree import walk
from bacalhau.ports.engine import Mount

FOLDER_MODE = 0o777
_FILE_MODE = 0o644
_PROGRAM_MODE = 0o755


def open_copy(path: Path) -> None:
    """Let every user of an image read a copy, run its programs, and add files to its folders. Blocks.

    The files themselves are changed by their owner, and by root. Symbolic links stay as they are. Raises
    StorageFailure where the copy itself is a link, which would lead out of the task's folder.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            raise StorageFailure(
                f"input {path.name} is a symbolic link, and its target is not part of it",
                hint="name the folder that holds both the link and its target",
            )
        _open_one(path, status)
        if stat.S_ISDIR(status.st_mode):
            for name, found in walk(path):
                _open_one(path / name, found)
    except OSError as e:
        raise StorageFailure(f"cannot open input {e.filename or path} to the task: {e.strerror or e}") from e


def _open_one(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        mode = FOLDER_MODE
    elif stat.S_ISREG(status.st_mode):
        mode = _PROGRAM_MODE if status.st_mode & 0o111 else _FILE_MODE
    else:
        return
    if stat.S_IMODE(status.st_mode) != mode:
        path.chmod(mode)


def make_mount_points(mounts: Sequence[Mount], own: Sequence[Path]) -> None:
    """Make a place for each mount that lies below another one. Blocks.

    `own` are the folders of the execution; only in them something is made. Raises StorageFailure naming both targets.
    """
    targets = {_clean(mount.target): mount for mount in mounts}
    for target in sorted(targets, key=lambda each: len(each.parts)):
        above = next((parent for parent in target.parents if parent in targets), None)
        if above is not None:
            outer = targets[above]
            names = target.relative_to(above).parts
            is_own = any(outer.host_path.is_relative_to(folder) for folder in own)
            _make_point(targets[target], outer, names, is_own=is_own)


def _clean(target: str) -> PurePosixPath:
    return PurePosixPath("/", posixpath.normpath(target).lstrip("/"))


def _make_point(mount: Mount, outer: Mount, names: tuple[str, ...], *, is_own: bool) -> None:
    place = outer.host_path
    wants_folder = mount.host_path.is_dir()
    both = f"{mount.target} lies below {outer.target}"
    for number, name in enumerate(("", *names)):
        place = place / name
        needs_folder = number < len(names) or wants_folder
        if is_own and not os.path.lexists(place):
            _make(place, is_folder=needs_folder)
        if fault := _fault(place, outer if number == 0 else None, needs_folder=needs_folder):
            raise StorageFailure(
                f"{both}, where {'/'.join(names[:number]) or 'it'} {fault}",
                hint="choose targets that do not lie below one another"
                + ("" if is_own else f", or make this place below {_shown(outer)} on the node"),
            )


def _shown(mount: Mount) -> str:
    return mount.held.place if mount.held else str(mount.host_path)


def _make(place: Path, *, is_folder: bool) -> None:
    if is_folder:
        place.mkdir()
        place.chmod(FOLDER_MODE)
    else:
        place.touch()
        place.chmod(_FILE_MODE)


def _fault(place: Path, outer: Mount | None, *, needs_folder: bool) -> str:
    """Say why nothing can be mounted there; "" when it can. The mount `outer` itself may be a link to what is held."""
    try:
        mode = (os.lstat if outer is None else os.stat)(place).st_mode
    except OSError:
        return "is not there"
    if stat.S_ISLNK(mode):
        return "is a symbolic link"
    if stat.S_ISDIR(mode) != needs_folder:
        return "is a file" if needs_folder else "is a folder"
    return ""
