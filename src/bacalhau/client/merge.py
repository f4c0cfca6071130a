"""How downloaded result trees become one directory: planned whole from what is there, refused whole, and only then moved.

Nothing of a user's is ever replaced: a file that exists already is a conflict, unless it holds what would be put there.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bacalhau.lib.errors import Conflict

# What every result has; of several results these are joined in the order of the results.
JOINED = ("exitCode", "stderr", "stdout")
RAW_INSTEAD = "Try --raw to download raw results instead of merging them"
_PIECE = 1 << 20


class Merge(NamedTuple):
    """`moves` are (from, to); `joins` are (sources in order, to); `folders` are made first, so that empty ones arrive too. What is there already is in neither."""

    folders: tuple[Path, ...]
    moves: tuple[tuple[Path, Path], ...]
    joins: tuple[tuple[tuple[Path, ...], Path], ...]


def files_in(tree: Path) -> Iterator[Path]:
    """Files and links below `tree`; a link to a folder is no folder."""
    for folder, folders, names in os.walk(tree):
        yield from (Path(folder, name) for name in [*names, *folders] if name in names or os.path.islink(os.path.join(folder, name)))


def folders_in(tree: Path) -> Iterator[Path]:
    for folder, folders, _ in os.walk(tree):
        yield from (Path(folder, name) for name in folders if not os.path.islink(os.path.join(folder, name)))


def plan_merge(trees: Sequence[Path], into: Path, advice: str = RAW_INSTEAD) -> Merge:
    """Raises Conflict, with `advice`, naming the first file that is there, or that two results both have, with other content."""
    sources: dict[str, list[Path]] = {}
    for tree in trees:
        for path in files_in(tree):
            sources.setdefault(str(path.relative_to(tree)), []).append(path)
    folders = sorted({str(path.relative_to(tree)) for tree in trees for path in folders_in(tree)})
    for relative in sorted(sources):
        if relative not in JOINED:
            sources[relative] = _only(sources[relative], into / relative, advice)
        if os.path.lexists(into / relative) and not _holds(into / relative, sources[relative]):
            raise _conflict(into / relative, advice)
    for relative in folders:
        if os.path.lexists(into / relative) and not (into / relative).is_dir():
            raise _conflict(into / relative, advice)
    missing = {path: found for path, found in sources.items() if not os.path.lexists(into / path)}
    return Merge(
        tuple(into / folder for folder in folders),
        tuple((found[0], into / path) for path, found in missing.items() if len(found) == 1),
        tuple((tuple(found), into / path) for path, found in missing.items() if len(found) > 1),
    )


def _only(sources: Sequence[Path], target: Path, advice: str) -> list[Path]:
    """One of files that are the same."""
    if all(_holds(sources[0], [other]) for other in sources[1:]):
        return [sources[0]]
    raise _conflict(target, advice)


def _holds(path: Path, parts: Sequence[Path]) -> bool:
    """Whether the file is, byte for byte, these parts one after the other; a link is only equal to a link."""
    if any(part.is_symlink() for part in (path, *parts)):
        return len(parts) == 1 and path.is_symlink() and parts[0].is_symlink() and path.readlink() == parts[0].readlink()
    if not path.is_file() or path.stat().st_size != sum(part.stat().st_size for part in parts):
        return False
    with path.open("rb") as whole:
        return all(piece == whole.read(len(piece)) for part in parts for piece in _pieces(part))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _conflict(path: Path, advice: str) -> Conflict:
    return Conflict(
        f"cannot merge results as output already exists: {path.absolute()}. {advice}",
        hint="its content differs: name an empty directory with --output-dir, or move what is there; nothing was changed",
    )


def apply_merge(merge: Merge) -> None:
    """Files are renamed, so that each is there whole or not at all."""
    for folder in merge.folders:
        folder.mkdir(parents=True, exist_ok=True)
    for sources, target in merge.joins:
        with target.open("xb") as out:
            for source in sources:
                with source.open("rb") as part:
                    shutil.copyfileobj(part, out)
    for source, target in merge.moves:
        source.rename(target)
