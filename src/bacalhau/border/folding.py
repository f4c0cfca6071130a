"""Disks that take names for one which differ in case or Unicode form, as those of macOS and Windows do."""

import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

from bacalhau.border.names import shorten
from bacalhau.lib.errors import StorageFailure


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def folds_names(folder: Path) -> bool:
    """Tell whether the file system of a folder takes names for one that differ in case or Unicode form.

    It is tried out with a file, which is removed again. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".probe-a\u00e9-", dir=folder) as probe:
        name = os.path.basename(probe.name)
        return any(os.path.lexists(folder / other) for other in (name.upper(), unicodedata.normalize("NFD", name)))


class DistinctNames:
    """The paths that are written below a folder, of which no two may be one file there."""

    def __init__(self, folder: Path, folds: Callable[[Path], bool] = folds_names) -> None:
        self._folder = folder
        self._met: dict[str, str] | None = {} if folds(folder) else None

    def add(self, path: str) -> None:
        """Note a path. Raises StorageFailure when it would replace one that was noted before."""
        if self._met is None:
            return
        other = self._met.setdefault(_folded(path), path)
        if other != path:
            raise StorageFailure(
                f"{shorten(other)!r} and {shorten(path)!r} are one name on the disk of {self._folder}",
                hint="bring them to a disk that tells upper from lower case, or fetch one of them alone",
            )
