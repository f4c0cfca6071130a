"""Files that a container left in the execution's own folders, for a node that is not root.

A container's programs are other users of the machine. A node that is an ordinary user can neither read their private
files nor empty their folders. The daemon can: through its archive API, while the container still exists, folders are
opened, and private files get this process as their owner; where a daemon does not do that, they are copied. Nothing
outside of the execution's own folders is touched.
"""

import asyncio
import logging
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from bacalhau.border.archive import unpack_async
from bacalhau.border.tar import Member, join
from bacalhau.lib.errors import BacalhauError, StorageFailure, Unavailable
from bacalhau.lib.tree import walk
from bacalhau.lib.wire import decode
from bacalhau.plugins.docker.api import DockerApi
from bacalhau.plugins.docker.container import OWN_LABEL

_OPEN = 0o777
_PRIVATE = 0o600
_AT_ONCE = 1000  # files in one request
_ABOVE = "/above"
_ALL = os.R_OK | os.W_OK | os.X_OK
log = logging.getLogger(__name__)


async def hand_over(api: DockerApi, name: str) -> None:
    """Make all that a container left in the execution's own folders readable and removable by this process.

    A container that still runs is killed. Root needs nothing. Raises Unavailable when the daemon is away; what it
    refuses is logged.
    """
    if os.geteuid() == 0 or (found := await api.inspect(name)) is None:
        return
    own = decode((found["Config"]["Labels"] or {}).get(OWN_LABEL, "[]").encode(), list[str])
    try:
        if own and found["State"]["Running"]:
            await api.stop(name, 0)
        for mount in found["Mounts"]:
            if mount["RW"] and mount["Destination"] in {target.rstrip("/") for target in own}:
                await _open_mount(api, found, Path(mount["Source"]))
                await _open_folders(api, found["Id"], mount)
                await _take_files(api, found["Id"], mount)
                await _copy_files(api, found["Id"], mount)
    except Unavailable:
        raise
    except (BacalhauError, OSError) as e:
        log.warning("files of container %s cannot be read or removed: %s", name, e)


async def _open_mount(api: DockerApi, found: dict[str, Any], folder: Path) -> None:
    """Open the folder of a mount itself, which a container may have given to another user.

    The daemon opens what is in a folder, never that folder. So the one above is mounted into a second container, which
    is never started. Of an earlier process it may still be there.
    """
    if not folder.is_dir() or _may(folder, _ALL):
        return
    labels = {name: text for name, text in found["Config"]["Labels"].items() if name != OWN_LABEL}
    mounts = [{"Type": "bind", "Source": str(folder.parent), "Target": _ABOVE}]
    config = {"Image": found["Image"], "Cmd": ["true"], "Labels": labels}
    name = f"{found['Id'][:12]}-above"
    await api.remove(name)
    await api.create(name, config | {"HostConfig": {"Mounts": mounts, "NetworkMode": "none"}})
    try:
        member = Member(folder.name, mode=_OPEN, is_folder=True)
        await api.put_archive(name, _ABOVE, join([(member, b"")]))
    finally:
        await api.remove(name)


async def _open_folders(api: DockerApi, container: str, mount: dict[str, Any]) -> None:
    """Open folder after folder, because what is in a closed one is not known."""
    known: set[str] = set()
    while closed := set(await asyncio.to_thread(_list_closed, Path(mount["Source"]))) - known:
        members = [(Member(folder, mode=_OPEN, is_folder=True), b"") for folder in sorted(closed)]
        await api.put_archive(container, mount["Destination"], join(members))
        known |= closed


def _list_closed(root: Path) -> list[str]:
    """List the folders that this process may not read, enter and change."""
    todo, closed = [""], []
    while todo:
        at = todo.pop()
        if at and not _may(root / at, _ALL):
            closed.append(at)
        if root.is_dir() and _may(root / at, os.R_OK | os.X_OK):
            todo += [os.path.join(at, one.name) for one in os.scandir(root / at) if one.is_dir(follow_symlinks=False)]
    return closed


async def _take_files(api: DockerApi, container: str, mount: dict[str, Any]) -> None:
    """Become the owner of the files that only others may read, many at a time.

    Docker sets the owner of a hard link that it unpacks, and so that of the file. What a daemon leaves is copied later.
    """
    root = Path(mount["Source"])
    names = await asyncio.to_thread(_list_private, root)
    for begin in range(0, len(names), _AT_ONCE):
        some = names[begin : begin + _AT_ONCE]
        with tempfile.TemporaryDirectory(dir=root, prefix=".take-") as scratch:
            at, owner = os.path.basename(scratch), os.geteuid()
            members = [
                Member(f"{at}/{n}", mode=_PRIVATE, link=name, is_hard=True, owner=owner) for n, name in enumerate(some)
            ]
            try:
                await api.put_archive(container, mount["Destination"], join((member, b"") for member in members))
            except BacalhauError as e:
                log.debug("files of container %s are copied one by one: %s", container, e)
                return
        await asyncio.to_thread(_make_readable, root, some)


def _make_readable(root: Path, names: list[str]) -> None:
    for path in (root / name for name in names):
        status = path.lstat()
        if status.st_uid == os.geteuid() and not _may(path, os.R_OK):
            path.chmod(stat.S_IMODE(status.st_mode) | _PRIVATE)


async def _copy_files(api: DockerApi, container: str, mount: dict[str, Any]) -> None:
    """Put a copy of our own in the place of each file that only others may read."""
    root = Path(mount["Source"])
    for name in await asyncio.to_thread(_list_private, root):
        with tempfile.TemporaryDirectory(dir=root, prefix=".copy-") as scratch:
            archive, into = Path(scratch) / "archive", Path(scratch) / "content"
            into.mkdir()
            await api.save_archive(container, f"{mount['Destination']}/{name}", archive)
            await unpack_async(archive, into)
            copy = into / os.path.basename(name)
            if not copy.is_file():
                raise StorageFailure(f"the daemon gave no file for {name}")
            copy.replace(root / name)


def _list_private(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return [name for name, status in walk(root) if stat.S_ISREG(status.st_mode) and not _may(root / name, os.R_OK)]


def _may(path: Path, how: int) -> bool:
    return os.access(path, how, effective_ids=True)
