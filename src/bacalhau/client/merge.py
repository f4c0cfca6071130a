"""The merge of downloaded result trees into one directory: planned whole from what is there, refused whole, and only
then moved.

Nothing of a user's is ever replaced: a file that exists already is a conflict, whatever it holds.
"""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bacalhau.border.folding import DistinctNames
from bacalhau.lib.errors import Conflict
from bacalhau.lib.tree import walk

# What every result has; of several results these are joined in the order of the results.
JOINED = ("exitCode", "stderr", "stdout")


class Merge(NamedTuple):
    """`moves` are (from, to); `joins` are (sources in order, to); `folders` are made first, so that empty ones arrive
    too.
    """

    folders: tuple[Path, ...]
    moves: tuple[tuple[Path, Path], ...]
    joins: tuple[tuple[tuple[Path, ...], Path], ...]


def files_in(tree: Path) -> Iterator[Path]:
    """List files and links below a folder; a link to a folder is no folder."""
    return (tree / name for name, status in walk(tree) if not stat.S_ISDIR(status.st_mode))


def folders_in(tree: Path) -> Iterator[Path]:
    """List the folders below a folder, parents first."""
    return (tree / name for name, status in walk(tree) if stat.S_ISDIR(status.st_mode))


def plan_merge(trees: Sequence[Path], into: Path) -> Merge:
    """Plan the moves. Raises Conflict, naming the first file that is there already or that two results both have, and
    StorageFailure for two names that are one on this disk.
    """
    sources: dict[str, list[Path]] = {}
    for tree in trees:
        for path in files_in(tree):
            sources.setdefault(str(path.relative_to(tree)), []).append(path)
    folders = {str(path.relative_to(tree)) for tree in trees for path in folders_in(tree)}
    names = DistinctNames(into)
    for relative in sorted(sources):
        names.add(relative)
        if os.path.lexists(into / relative) or (len(sources[relative]) > 1 and relative not in JOINED):
            raise _conflict(into / relative)
    for relative in sorted(folders):
        if os.path.lexists(into / relative) and not (into / relative).is_dir():
            raise _conflict(into / relative)
    one = {path: found for path, found in sources.items() if len(found) == 1}
    return Merge(
        tuple(into / folder for folder in sorted(folders)),
        tuple((found[0], into / path) for path, found in one.items()),
        tuple((tuple(found), into / path) for path, found in sources.items() if len(found) > 1),
    )


def refuse_merge(into: Path, names: Iterable[str]) -> None:
    """Check the files. Raises Conflict for the first of `names` that is there already."""
    for name in names:
        if os.path.lexists(into / name):
            raise _conflict(into / name)


def refuse_existing(paths: Iterable[Path], hint: str) -> None:
    """Check the paths. Raises Conflict for the first of `paths` that is there already."""
    for path in paths:
        if os.path.lexists(path):
            raise Conflict(f"raw results are there already: {path.absolute()}", hint=hint)


def _conflict(path: Path) -> Conflict:
    return Conflict(
        f"cannot merge results as output already exists: {path.absolute()}. Try --raw to download raw results instead"
        " of merging them",
        hint="name an empty directory with --output-dir, or move what is there; nothing was changed",
    )


def apply_merge(merge: Merge) -> None:
    """Apply a plan: the joined files are written, the others renamed, so that each of these is whole or not there."""
    for folder in merge.folders:
        folder.mkdir(parents=True, exist_ok=True)
    for sources, target in merge.joins:
        with target.open("xb") as out:
            for source in sources:
                with source.open("rb") as part:
                    shutil.copyfileobj(part, out)
        for source in sources:
            source.unlink()
    for source, target in merge.moves:
        source.rename(target)
