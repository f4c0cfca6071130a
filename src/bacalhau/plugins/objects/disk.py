"""Files on the disk of this machine that come from objects or become some."""

import errno
import logging
import stat
from pathlib import Path

from bacalhau.border.archive import tree
from bacalhau.border.names import path_fault, shorten
from bacalhau.lib.errors import StorageFailure

log = logging.getLogger(__name__)
LONGEST_KEY = 1024  # bytes, as stores have them
RENAME = "publish with encoding gzip, or name the file otherwise"


def disk_failure(error: OSError, into: Path, component: str) -> StorageFailure:
    """Make the error of a disk of this node that did not take the bytes."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFailure(
            f"no space left on {into}",
            hint="free disk space on the node, or ask for more disk in the job's resources",
            component=component,
        )
    return StorageFailure(
        f"cannot write {error.filename or into}: {error.strerror or error}",
        hint="check the node's data directory",
        component=component,
    )


def plain_files(folder: Path, prefix: str, store: str) -> list[tuple[str, int]]:
    """List the regular files of a result and links to them, sizes in bytes.

    Raises StorageFailure for a name that can be no key. A link that leads out of the result would publish the node's
    own files.
    """
    inside = folder.resolve()
    files = []
    for name, status in tree(folder):
        if stat.S_ISREG(status.st_mode):
            files.append((_keyed(name, prefix, store), status.st_size))
            continue
        target = (folder / name).resolve()
        if stat.S_ISLNK(status.st_mode) and target.is_relative_to(inside) and target.is_file():
            files.append((_keyed(name, prefix, store), target.stat().st_size))
        elif stat.S_ISLNK(status.st_mode):
            log.warning("symlink %s is not published: it points out of the result, at a directory or at nothing", name)
    return files


def _keyed(name: str, prefix: str, store: str) -> str:
    """Return the name of a file that can be a key after `prefix`, and a file again when it is fetched."""
    try:
        length = len((prefix + name).encode())
        fault = path_fault(name)
        if length > LONGEST_KEY:
            fault = f"its key would have {length:,} bytes, and {store} allows {LONGEST_KEY:,}"
    except UnicodeEncodeError:
        fault = "it is not UTF-8"
    if fault:
        said = f"file name {shorten(name)!r} cannot be a key of {store}: {fault}"
        raise StorageFailure(said, hint=RENAME, component=store)
    return name
