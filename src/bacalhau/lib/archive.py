"""One folder as one tar.gz and back: the same tree always gives the same bytes, and unpacking never leaves its folder.

Packing is a generator with bounded memory, so that whoever uploads or hashes sees the bytes as they are made. All of
it blocks: async callers use `stream`, or run `unpack` in a thread.
"""

import asyncio
import gzip
import os
import posixpath
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

from isal import igzip, isal_zlib

from bacalhau.lib.errors import NotFound, StorageFailure
from bacalhau.lib.tree import walk

_LEVEL = 1  # 650 MB/s a core where zlib's default makes 47, for archives a quarter larger
_GZIP = 31  # window bits that mean: with a gzip header, whose time stays 0
_BLOCK = 1 << 20
_GunzipFile: Any = igzip.IGzipFile  # isal's own annotations are incomplete, and take its error for a value
_DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    EOFError,
    gzip.BadGzipFile,
    cast(type[Exception], isal_zlib.IsalError),
)


def tree(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every directory, regular file and symlink below a folder as (name with slashes, lstat), sorted.

    Sockets, pipes and devices are left out.
    """
    kept = (stat.S_ISDIR, stat.S_ISREG, stat.S_ISLNK)
    return ((name, status) for name, status in walk(folder) if any(is_kind(status.st_mode) for is_kind in kept))


def tree_size(folder: Path) -> int:
    """Bytes of the uncompressed archive, to within the rounding of its blocks."""
    return sum(1024 + (status.st_size if stat.S_ISREG(status.st_mode) else 0) for _, status in tree(folder))


def pack(folder: Path) -> Iterator[bytes]:
    """The tree as tar.gz in pieces of at most about 1 MiB. Owner, group and times are zero. Raises OSError."""
    press = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    for block in _tar(folder):
        made = press.compress(block)
        if made:
            yield made
    yield press.flush()


async def stream(folder: Path) -> AsyncIterator[bytes]:
    """`pack`, with the work done in a thread."""
    pieces = pack(folder)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _tar(folder: Path) -> Iterator[bytes]:
    for name, status in tree(folder):
        info = _member(folder, name, status)
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if info.isreg():
            yield from _content(folder / name, info.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(folder: Path, name: str, status: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(folder / name)
    else:
        info.size = status.st_size
    return info


def _content(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb", buffering=0) as file:
        while left:
            block = file.read(min(_BLOCK, left))
            if not block:
                raise OSError(f"{path} became shorter while it was packed")
            left -= len(block)
            yield block
    yield bytes(-size % tarfile.BLOCKSIZE)


def unpack(archive: Path, into: Path, only: str = "") -> list[str]:
    """Unpack a tar.gz below `into`, or of it only the file or directory `only`, replacing files that are there.

    Returns the symlinks that were left out because they point outside. Raises StorageFailure for a damaged archive or a
    member that would leave `into`, NotFound when nothing is at `only`, OSError when `into` cannot be written.
    """
    wanted = _clean(only) if only else ""
    unpacker = _Unpacker(into)
    try:
        with _GunzipFile(archive, "rb") as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            for info in tar:
                name = _clean(info.name)
                if name and (not wanted or name == wanted or name.startswith(wanted + "/")):
                    unpacker.add(tar, info, name)
            while plain.read(1 << 20):  # to the checksum, which stands behind everything
                pass
    except _DAMAGE as e:
        raise StorageFailure(f"archive {archive.name} is damaged: {e}") from e
    if wanted and not unpacker.count:
        raise NotFound(f"the result has no {only}", hint="leave out the path to get the whole result")
    return unpacker.left_out


def _clean(name: str) -> str:
    """The name without `.` and doubled slashes; "" is the folder itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or (os.sep == "\\" and "\\" in name):
        raise StorageFailure(
            f"archive member {name!r} would leave its folder",
            hint="this archive is not a result; nothing more of it was unpacked",
        )
    return "/".join(parts)


class _Unpacker:
    def __init__(self, into: Path) -> None:
        self._into = into
        self._links: set[str] = set()
        self.left_out: list[str] = []
        self.count = 0

    def add(self, tar: tarfile.TarFile, info: tarfile.TarInfo, name: str) -> None:
        parents = name.split("/")[:-1]
        if self._links and any("/".join(parents[: i + 1]) in self._links for i in range(len(parents))):
            raise StorageFailure(f"archive member {name!r} would be written through a symlink")
        path = self._into / name
        self.count += 1
        if info.isdir():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(info.mode & 0o777 | 0o700)
        elif info.issym():
            self._link(path, info.linkname, name)
        elif info.isreg():
            self._file(tar, info, path)
        else:
            raise StorageFailure(f"archive member {name!r} is neither file, directory nor symlink")

    def _link(self, path: Path, target: str, name: str) -> None:
        if not _stays_inside(name, target):
            self.left_out.append(name)
            return
        _clear(path)
        path.symlink_to(target)
        self._links.add(name)

    def _file(self, tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
        content = tar.extractfile(info)
        _clear(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, info.mode & 0o777 | 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            while content and (block := content.read(_BLOCK)):
                file.write(block)


def _clear(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


def _stays_inside(name: str, target: str) -> bool:
    """`..` only leads the target: after a name it could climb from wherever another link had led."""
    parts = target.split("/")
    rest = parts[next((i for i, part in enumerate(parts) if part != ".."), len(parts)) :]
    landed = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return bool(target) and not target.startswith("/") and ".." not in rest and landed.split("/")[0] != ".."
