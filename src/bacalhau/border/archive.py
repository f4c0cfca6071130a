"""One folder as one tar.gz and back: the same tree always gives the same bytes, and unpacking never leaves its folder.

Packing is a generator with bounded memory, so that whoever uploads or hashes sees the bytes as they are made. Unpacking
is made for archives that mean harm: what they may take on disk, in members and in headers has limits, and a stop is
heard at the next block. Both block: async callers use `stream` and `unpack_async`.
"""

import asyncio
import gzip
import os
import posixpath
import stat
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from isal import igzip, isal_zlib

from bacalhau.border.folding import DistinctNames
from bacalhau.border.tar import END, Member, header, padding
from bacalhau.lib.aio import in_thread
from bacalhau.lib.errors import NotFound, StorageFailure
from bacalhau.lib.hashing import Listener, hashed
from bacalhau.lib.tree import walk
from bacalhau.lib.units import show_bytes

_LEVEL = 1  # 650 MB/s a core where zlib's default makes 47, for archives a quarter larger
_GZIP = 31  # window bits that mean: with a gzip header, whose time stays 0
_BLOCK = 1 << 20
_TAR_BYTES = 32 << 10  # that the library holds: it copies the rest of them with each read, however small
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


def tree_size(folder: Path, *, with_holes: bool = True) -> int:
    """Bytes of the uncompressed archive, to within the rounding of its blocks; without the holes of sparse files, which
    take nothing when compressed, if so wished.
    """
    return sum(1024 + _size(status, with_holes) for _, status in tree(folder))


def _size(status: os.stat_result, with_holes: bool) -> int:
    if not stat.S_ISREG(status.st_mode):
        return 0
    return status.st_size if with_holes else min(status.st_size, status.st_blocks * 512)


def pack(folder: Path, tell: Listener | None = None) -> Iterator[bytes]:
    """The tree as tar.gz in pieces of at most about 1 MiB. Owner, group and times are zero. Raises OSError.

    `tell` is told of each regular file.
    """
    press = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    for block in _tar(folder, tell):
        made = press.compress(block)
        if made:
            yield made
    yield press.flush()


async def stream(folder: Path, tell: Listener | None = None) -> AsyncIterator[bytes]:
    """`pack`, with the work done in a thread."""
    pieces = pack(folder, tell)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _tar(folder: Path, tell: Listener | None) -> Iterator[bytes]:
    for name, status in tree(folder):
        member = _member(folder, name, status)
        yield header(member)
        if stat.S_ISREG(status.st_mode):
            yield from hashed(_content(folder / name, member.size), name, tell)
            yield padding(member.size)
    yield END


def _member(folder: Path, name: str, status: os.stat_result) -> Member:
    link = os.readlink(folder / name) if stat.S_ISLNK(status.st_mode) else ""
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return Member(name, size, stat.S_IMODE(status.st_mode), link, stat.S_ISDIR(status.st_mode))


def _content(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb", buffering=0) as file:
        while left:
            block = file.read(min(_BLOCK, left))
            if not block:
                raise OSError(f"{path} became shorter while it was packed")
            left -= len(block)
            yield block


class Limits(NamedTuple):
    """Bounds of one archive or tree: its bytes on the disk, and its members."""

    size: int = 1 << 40
    members: int = 10_000_000


_HEADER_BYTES = 1 << 20  # of one extended header, and of all global ones together: real ones have hundreds
_HEADERS_IN_A_ROW = 16  # extended headers before one member: real archives have two
_DEEPEST = 2048  # names in a path, which is what a path of the longest allowed length can have
STANDARD = Limits()


async def unpack_async(archive: Path, into: Path, only: str = "", limits: Limits = STANDARD) -> list[str]:
    """`unpack` in a thread. A cancelled caller leaves when the thread has ended, which is at the next block."""
    return await in_thread(lambda is_stopped: unpack(archive, into, only, limits, is_stopped))


def unpack(
    archive: Path,
    into: Path,
    only: str = "",
    limits: Limits = STANDARD,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Unpack a tar.gz below `into`, or of it only the file or directory `only`, replacing files that are there.

    Returns the symlinks that were left out because they point outside. Raises StorageFailure for a damaged archive, for
    one beyond `limits` and for a member that would leave `into` or is no file, NotFound when nothing is at `only`,
    OSError when `into` cannot be written.
    """
    wanted = _clean(only) if only else ""
    try:
        with _GunzipFile(archive, "rb") as compressed:
            plain = _Metered(compressed, archive.name, limits.size, is_stopped)
            unpacker = _Unpacker(into, plain)
            with tarfile.open(fileobj=cast(Any, plain), mode="r|", bufsize=_TAR_BYTES, tarinfo=_Member) as tar:
                _unpack_members(tar, unpacker, wanted, limits.members)
            while plain.read(_BLOCK):  # to the checksum, which stands behind everything
                pass
    except _DAMAGE as e:
        raise StorageFailure(f"archive {archive.name} is damaged: {e}") from e
    if wanted and not unpacker.count:
        raise NotFound(f"the result has no {only}", hint="leave out the path to get the whole result")
    return unpacker.left_out


def _unpack_members(tar: tarfile.TarFile, unpacker: "_Unpacker", wanted: str, limit: int) -> None:
    seen = 0
    while (info := tar.next()) is not None:
        cast(Any, tar).members.clear()  # the library would remember every member
        seen += 1
        if seen > limit:
            raise StorageFailure(f"the archive has more than {limit} members", hint=_TOO_MUCH)
        name = _clean(info.name)
        if name and (not wanted or name == wanted or name.startswith(wanted + "/")):
            unpacker.add(tar, info, name)


class _Metered:
    """The decompressed archive as a file, which ends with an error at a number of bytes or when it is stopped."""

    def __init__(self, inner: Any, name: str, limit: int, is_stopped: Callable[[], bool]) -> None:
        self._inner, self._name, self._limit, self._is_stopped = inner, name, limit, is_stopped
        self._spent = 0

    def read(self, size: int) -> bytes:
        found: bytes = self._inner.read(size)
        self.spend(len(found))
        return found

    def spend(self, size: int) -> None:
        """Count bytes that are read or written. Raises StorageFailure."""
        self._spent += size
        if self._is_stopped():
            raise StorageFailure(f"unpacking {self._name} was stopped")
        if self._spent > self._limit:
            raise StorageFailure(f"archive {self._name} holds more than {show_bytes(self._limit)}", hint=_TOO_MUCH)


_TOO_MUCH = "give the task more disk (Resources.Disk), or an archive that holds less"
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class _Member(tarfile.TarInfo):
    """A member whose headers are bounded. The library reads them whole into memory, one inside the other."""

    def _proc_member(self, tar: Any) -> tarfile.TarInfo:
        if self.type in (*_EXTENDED, *_LONG_NAMES):
            in_a_row, in_all = getattr(tar, "extended", (0, 0))
            in_all += self.size if self.type == tarfile.XGLTYPE else 0
            tar.extended = (in_a_row + 1, in_all)
            if self.size > _HEADER_BYTES or in_all > _HEADER_BYTES or in_a_row >= _HEADERS_IN_A_ROW:
                raise StorageFailure("the archive has headers larger than any file name needs")
        else:
            tar.extended = (0, getattr(tar, "extended", (0, 0))[1])
        found: tarfile.TarInfo = cast(Any, super())._proc_member(tar)
        return found

    def _refuse_sparse(self, *_: Any) -> Any:
        raise StorageFailure(
            f"archive member {self.name!r} is a sparse file, which can be larger than any disk",
            hint="pack it without --sparse",
        )

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def _clean(name: str) -> str:
    """The name without `.` and doubled slashes; "" is the folder itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or (os.sep == "\\" and "\\" in name):
        raise StorageFailure(
            f"archive member {name!r} would leave its folder",
            hint="this archive is not a result; nothing more of it was unpacked",
        )
    if len(parts) > _DEEPEST:
        raise StorageFailure(f"archive member {name[:80]!r}... is nested deeper than {_DEEPEST} folders")
    return "/".join(parts)


class _Unpacker:
    def __init__(self, into: Path, meter: _Metered) -> None:
        self._into, self._meter = into, meter
        self._links: set[str] = set()
        self._names = DistinctNames(into)
        self.left_out: list[str] = []
        self.count = 0

    def add(self, tar: tarfile.TarFile, info: tarfile.TarInfo, name: str) -> None:
        self._refuse_links(name)
        self._names.add(name)
        path = self._into / name
        self.count += 1
        if info.isdir():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(info.mode & 0o777 | 0o700)
        elif info.issym():
            self._link(path, info.linkname, name)
        elif info.isreg():
            self._write(tar.extractfile(info), path, info.mode)
        elif info.islnk():
            self._copy(_clean(info.linkname), path, info.mode)
        else:
            raise StorageFailure(f"archive member {name!r} is a device or pipe, neither file, directory nor link")

    def _refuse_links(self, name: str) -> None:
        parents = name.split("/")[:-1]
        if self._links and any("/".join(parents[: i + 1]) in self._links for i in range(len(parents))):
            raise StorageFailure(f"archive member {name!r} would be written through a symlink")

    def _link(self, path: Path, target: str, name: str) -> None:
        if not _stays_inside(name, target):
            self.left_out.append(name)
            return
        _clear(path)
        path.symlink_to(target)
        self._links.add(name)

    def _copy(self, target: str, path: Path, mode: int) -> None:
        """A hard link becomes a file of its own, so that nothing outside can be linked."""
        self._refuse_links(target)
        try:
            source = os.open(self._into / target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as e:
            said = f"archive member {path.name!r} is a hard link to {target!r}, which does not stand before it"
            raise StorageFailure(said, hint="get the whole result rather than a part of it") from e
        with open(source, "rb", buffering=0) as content:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                raise StorageFailure(f"archive member {path.name!r} is a hard link to {target!r}, which is no file")
            self._write(content, path, mode, self._meter.spend)

    def _write(self, content: Any, path: Path, mode: int, spend: Callable[[int], None] = lambda size: None) -> None:
        _clear(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o777 | 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            while content and (block := content.read(_BLOCK)):
                spend(len(block))
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
