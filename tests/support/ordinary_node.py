"""A node that is an ordinary user: not root, in the group that opens Docker's socket, under a umask that closes all."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ordinary import USER
from tests.support.system import OWNER, Identity, System


@contextmanager
def ordinary_system(docker_url: str, image: str) -> Iterator[System]:
    """Start a system as that user, with its data where that user can get to.

    The daemon's socket may stand where others may not look, so the system works in the socket's folder.
    """
    socket = Path(docker_url.removeprefix("unix://"))
    socket.parent.chmod(socket.parent.stat().st_mode | 0o011)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="bacalhau-ordinary-") as made:
        folder = Path(made)
        (folder / "hold").mkdir()
        shutil.chown(folder, USER, USER)
        command = (*_reveal(Path(sys.base_prefix), folder / "hold"), *_become(socket.stat().st_gid))
        with System(
            folder,
            docker_url,
            image=image,
            variables=OWNER | {"DOCKER_HOST": f"unix://{socket.name}"},
            identity=Identity(0o077, socket.parent, command),
        ) as system:
            yield system


def _become(group: int) -> tuple[str, ...]:
    return ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--groups", str(group))


def _reveal(folder: Path, hold: Path) -> tuple[str, ...]:
    """Show `folder` to the process alone where it stands below one that only root may enter, as that of the interpreter
    may.
    """
    closed = next((above for above in reversed(folder.parents) if not above.stat().st_mode & 0o001), None)
    if closed is None:
        return ()
    at, over, aside = (shlex.quote(str(path)) for path in (folder, closed, hold))
    script = f"""
        mount --bind {at} {aside}; mount -t tmpfs -o mode=755 tmpfs {over}
        (umask 022; mkdir -p {at}); mount --bind {aside} {at}; exec "$@"
    """
    return ("unshare", "--mount", "sh", "-euc", script, "sh")
