"""The files of a node's cache of inputs: bytes that are named by a digest, and trees of hard links to them.

`objects` holds each content once. `trees` holds a folder for each input of a task that runs: what the task sees, made
of links, and so without a second copy, whatever file system the rest of the node's data is on. A file appears in
`objects` by being linked from a tree in which a source has completed it, so nothing half is ever there. Its count of
links says whether a task uses it. All functions here block.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bacalhau.lib.tree import remove_tree

_FOLDER_MODE = 0o755  # tasks mount what is here for reading only
_FILE_MODE, _PROGRAM_MODE = 0o644, 0o755
_NO_SHARING = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)  # of two file systems, or an old kernel


class Wanted(NamedTuple):
    """Bytes that a task needs at `path` below its tree; `digest` and `name` are those of the cache, `size` in bytes."""

    digest: str
    name: str
    size: int
    path: str


class Shelf:
    """The folder of a cache. Failures are OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.objects, self.trees = folder, folder / "objects", folder / "trees"

    def prepare(self) -> None:
        """Make the folders, and try what the cache lives by: that this file system has hard links."""
        for folder in (self.objects, self.trees):
            folder.mkdir(parents=True, exist_ok=True)
        probe, second = self.trees / ".probe", self.trees / ".probe-link"
        try:
            probe.touch()
            second.unlink(missing_ok=True)
            os.link(probe, second)
        finally:
            for path in (probe, second):
                path.unlink(missing_ok=True)

    def free(self) -> int:
        """Return the bytes that are free on the disk of the cache."""
        return shutil.disk_usage(self.folder).free

    def make_tree(self, tree: Path) -> None:
        """Make a tree anew."""
        if tree.exists():
            remove_tree(tree)
        tree.mkdir(parents=True)
        tree.chmod(_FOLDER_MODE)

    def link(self, wanted: Sequence[Wanted], tree: Path) -> tuple[list[Wanted], list[str]]:
        """Link what is in the cache into a tree. Return what is not, and the digests of files that were damaged.

        A file of another size than it was written with is removed.
        """
        missing, damaged = list[Wanted](), list[str]()
        made = {""}
        for one in wanted:
            folder = os.path.dirname(one.path)
            if folder not in made:
                _make_folders(tree, folder, made)
            place, target = self._place(one.digest), os.path.join(tree, one.path)
            try:
                os.link(place, target)
            except OSError:  # not there, or linked as often as the file system allows: it is brought
                missing.append(one)
                continue
            if os.lstat(target).st_size != one.size:
                for path in (target, place):
                    os.unlink(path)
                missing.append(one)
                damaged.append(one.digest)
        return missing, damaged

    def adopt(self, brought: Sequence[Wanted], tree: Path) -> list[Wanted]:
        """Take complete files of a tree into the cache; return those that are new in it."""
        for folder, below, _ in os.walk(tree):
            for name in below:
                os.chmod(os.path.join(folder, name), _FOLDER_MODE)
        new = []
        for one in brought:
            source, place = os.path.join(tree, one.path), self._place(one.digest)
            status = os.lstat(source)
            if not stat.S_ISREG(status.st_mode) or status.st_size != one.size:
                continue
            os.chmod(source, _PROGRAM_MODE if status.st_mode & 0o111 else _FILE_MODE)
            if _link_new(source, place):
                new.append(one)
        return new

    def discard(self, digests: Iterable[str]) -> list[str]:
        """Remove files that no task uses; return the digests of those that are gone."""
        gone = []
        for digest in digests:
            with suppress(FileNotFoundError):
                if os.stat(self._place(digest)).st_nlink > 1:
                    continue
                os.unlink(self._place(digest))
            gone.append(digest)
        return gone

    def list_used(self, digests: Iterable[str]) -> set[str]:
        """Find the files that tasks use."""
        used = set()
        for digest in digests:
            with suppress(FileNotFoundError):
                if os.stat(self._place(digest)).st_nlink > 1:
                    used.add(digest)
        return used

    def sweep(self, sizes: Mapping[str, int]) -> list[str]:
        """Remove the files that the books do not know with this size; return the digests that have no file."""
        found = set()
        for path in self._files():
            if sizes.get(path.name) == path.stat().st_size:
                found.add(path.name)
            else:
                path.unlink()
        return [digest for digest in sizes if digest not in found]

    def list_trees(self) -> frozenset[str]:
        """List the executions that have trees."""
        return frozenset(os.listdir(self.trees))

    def _files(self) -> Iterator[Path]:
        for folder in self.objects.iterdir():
            yield from folder.iterdir()

    def _place(self, digest: str) -> str:
        return f"{self.objects}/{digest[:2]}/{digest}"


def copy_tree(tree: Path, into: Path) -> None:
    """Copy a tree into a folder that exists; where the file system can share the bytes, it does."""
    shutil.copytree(tree, into, symlinks=True, copy_function=_copy, dirs_exist_ok=True)


def _copy(source: str, target: str) -> None:
    try:
        with open(source, "rb", buffering=0) as read, open(target, "wb", buffering=0) as write:
            while os.copy_file_range(read.fileno(), write.fileno(), 1 << 30):
                pass
    except OSError as e:
        if e.errno not in _NO_SHARING:
            raise
        shutil.copyfile(source, target)
    shutil.copymode(source, target)


def _link_new(source: str, place: str) -> bool:
    """Link a file to a place; return False where one is there already."""
    try:
        os.link(source, place)
    except FileExistsError:
        return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        return _link_new(source, place)
    return True


def _make_folders(tree: Path, folder: str, made: set[str]) -> None:
    """Make a folder below a tree with those above it, open to the users of images whatever this process's umask is."""
    if folder in made:
        return
    _make_folders(tree, os.path.dirname(folder), made)
    path = os.path.join(tree, folder)
    os.makedirs(path, exist_ok=True)
    os.chmod(path, _FOLDER_MODE)
    made.add(folder)
