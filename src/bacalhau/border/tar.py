"""Writing of tar archives: the same members always give the same bytes. Group and times are zero.

Reading is `archive`, whose archives may mean harm; no other module opens one.
"""

import tarfile
from collections.abc import Iterable
from typing import NamedTuple


class Member(NamedTuple):
    """One member: a link where `link` is its target (a symbolic one, unless `is_hard`), a folder, or else a file of
    `size` bytes.
    """

    name: str
    size: int = 0
    mode: int = 0o644
    link: str = ""
    is_folder: bool = False
    is_hard: bool = False
    owner: int = 0


END = bytes(2 * tarfile.BLOCKSIZE)
"""The end of every archive."""


def header(member: Member) -> bytes:
    """Make what stands before the content of a member."""
    info = tarfile.TarInfo(member.name)
    info.mode, info.uid = member.mode, member.owner
    if member.link:
        info.type = tarfile.LNKTYPE if member.is_hard else tarfile.SYMTYPE
        info.linkname = member.link
    elif member.is_folder:
        info.type = tarfile.DIRTYPE
    else:
        info.size = member.size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """Make what stands after content of so many bytes."""
    return bytes(-size % tarfile.BLOCKSIZE)


def join(members: Iterable[tuple[Member, bytes]]) -> bytes:
    """Make a whole archive of members with their content, in memory."""
    made = b"".join(part for member, data in members for part in (header(member), data, padding(len(data)))) + END
    return made + bytes(-len(made) % tarfile.RECORDSIZE)
