"""The mounts of a container, also of places whose folders jobs may change.

A bind mount names a path, and the container's runtime looks that path up again when the container starts. For a place
that is held open this is prevented with Docker, and found out with Podman.

Docker mounts the place through the path of its descriptor below `/proc`. The runtime may not do that, because it runs
in a mount namespace of its own, but the daemon may: the mount is a volume of Docker's `local` driver, which the daemon
itself mounts. It is anonymous, so it goes with the container.

Podman prepares a container in two steps. After the first its mounts are made, and no program of the task runs yet.
What is mounted is compared then with what is held. Where it is something else, the container is never started.
"""

import socket
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bacalhau.border.places import hold_place
from bacalhau.lib.errors import EngineFailure
from bacalhau.plugins.docker.failure import unreachable
from bacalhau.ports.engine import Mount

_CURE = (
    "allow paths whose folders no job may change, such as /data/*:rw in place of /data/**:rw in"
    " Compute.AllowListedLocalPaths, or mount the whole folder that jobs may change"
)
_RETRY = "jobs may change a folder that leads there; the task may be started again"
_CREDENTIALS = struct.Struct("3i")  # process, user, group


def mount_config(mount: Mount, *, podman: bool) -> dict[str, Any]:
    """Make one entry of the Engine API's `Mounts`."""
    if mount.held is None:
        return {"Type": "bind", "Source": str(mount.host_path), "Target": mount.target, "ReadOnly": mount.read_only}
    if podman:
        # It makes a `Source` that is missing, wherever links lead by then; one that it reads as an option it does not.
        target = f"{mount.target},source={mount.held.place}"
        return {"Type": "bind", "Target": target, "ReadOnly": mount.read_only}
    options = {"type": "none", "o": "rbind,ro" if mount.read_only else "rbind", "device": str(mount.host_path)}
    return {
        "Type": "volume",
        "Target": mount.target,
        "VolumeOptions": {"NoCopy": True, "DriverConfig": {"Name": "local", "Options": options}},
    }


def check_held(mounts: Iterable[Mount], url: str, *, podman: bool) -> None:
    """Raise EngineFailure when one of the mounts is held and the daemon at `url` cannot mount it. Blocks.

    Raises EngineAway when the daemon cannot be reached.
    """
    held = [mount.held for mount in mounts if mount.held]
    problem = _find_fault(url) if held else ""
    for one in held:
        file = "" if podman or stat.S_ISDIR(one.mode) else "Docker can hold only folders, not a single file"
        if problem or file:
            raise EngineFailure(
                f"volume {one.place} cannot be mounted safely: jobs may change a folder that leads there, and"
                f" {problem or file}",
                hint=_CURE,
                component="Docker",
            )


def _find_fault(url: str) -> str:
    """Say why the daemon cannot see descriptors of this process; "" when it can."""
    if not url.startswith("unix://"):
        return f"the Docker daemon at {url} (DOCKER_HOST) is not known to be on this machine"
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(url.removeprefix("unix://"))
        except OSError as e:
            raise unreachable(url, e.strerror or str(e)) from e
        process = _CREDENTIALS.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        status = ""
    # A process of an inner namespace has a number in each.
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return "" if len(numbers) == 1 else "the Docker daemon does not see the processes of this node"


def check_mounted(mounts: Iterable[Mount], process: int) -> None:
    """Compare what `process` of a container sees at the targets of held mounts with what is held. Blocks.

    Raises EngineFailure where it is something else.
    """
    for mount in mounts:
        if mount.held is None:
            continue
        try:
            # No link is followed: one of the image's would lead to files of the node, and not of the container.
            found = hold_place(mount.target, root=f"/proc/{process}/root/.")
        except OSError as e:
            raise EngineFailure(
                f"volume {mount.held.place} cannot be checked at {mount.target} of the container: {e.strerror}",
                hint=f"mount it where no symbolic link of the image leads; or {_CURE}",
                component="Docker",
            ) from e
        if not found.is_same(mount.held):
            raise EngineFailure(
                f"volume {mount.held.place} is something else by now than what was permitted",
                hint=_RETRY,
                retryable=True,
                component="Docker",
            )


@contextmanager
def naming_places(mounts: Iterable[Mount]) -> Iterator[None]:
    """Put the paths that people know into a failure that speaks of descriptors."""
    try:
        yield
    except EngineFailure as e:
        message = e.message
        for mount in mounts:
            if mount.held:
                message = message.replace(str(mount.host_path), mount.held.place)
        if message == e.message:
            raise
        hint = f"the node and the Docker daemon must share one mount namespace; or {_CURE}"
        raise EngineFailure(message, hint=hint, retryable=e.retryable, component="Docker") from e
