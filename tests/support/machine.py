"""`python -m tests.support.machine`: what the tests need besides Python packages, installed as root on Debian; at once
when it is there.

Nothing that is missing is worked around: without Docker, a registry and the rest the tests would prove less than they
say.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# As root on Debian; an ordinary user's PATH may lack them.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
INSTALL_SECONDS = 900


class Need(NamedTuple):
    """`is_there` looks at the machine; `package` brings it; `reason` is for the person who reads what is going on."""

    package: str
    reason: str
    is_there: Callable[[], bool]


def _on_path(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program, path=_PATH) for program in programs)


def _has_static_busybox() -> bool:
    """A static program's header names no loader."""
    try:
        with Path("/bin/busybox").open("rb") as file:
            return b"/ld-" not in file.read(4096)
    except OSError:
        return False


# The order counts: newer Debian releases keep the client apart from docker.io, older ones bring it along.
NEEDS = (
    Need("docker.io", "the daemon that runs the containers", _on_path("dockerd")),
    Need("docker-cli", "the client that looks at them from outside", _on_path("docker")),
    Need("podman", "the other engine that runs the containers", _on_path("podman", "conmon")),
    Need("iptables", "the containers' network", _on_path("iptables")),
    Need("docker-registry", "images to pull on loopback", _on_path("docker-registry")),
    Need("busybox-static", "what is inside the images", _has_static_busybox),
    Need("util-linux", "processes that end with the tests, namespaces", _on_path("setpriv", "unshare")),
    Need("ceph-mon", "the monitor of a small Ceph", _on_path("ceph-mon", "ceph", "monmaptool")),
    Need("ceph-osd", "its store", _on_path("ceph-osd")),
    Need("radosgw", "its S3 server", _on_path("radosgw", "radosgw-admin")),
    Need("prometheus", "what reads the metrics", _on_path("prometheus", "promtool")),
    Need("npm", "what brings Azure's server for tests, and runs it", _on_path("npm", "node")),
    Need("exfatprogs", "a disk that takes upper and lower case for one", _on_path("mkfs.exfat")),
    Need("exfat-fuse", "its driver", _on_path("mount.exfat-fuse")),
    Need("mount", "a disk that is small enough to fill", _on_path("mount", "umount", "losetup")),
)


class Unfit(Exception):
    """This machine cannot run the tests; the text says why and what to do."""


def prepare(say: Callable[[str], None]) -> None:
    """Raises Unfit."""
    missing = [need for need in NEEDS if not need.is_there()]
    names = " ".join(need.package for need in missing)
    if os.geteuid() != 0:
        wanted = f" and install: {names}" if missing else ""
        raise Unfit(f"the tests need root: they start a Docker daemon and mount a small disk. Run them as root{wanted}")
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Unfit(
            f"not installed: {names} (Debian's names). This is no Debian: install them yourself, then run this again"
        )
    for need in missing:
        say(f"needs {need.package}: {need.reason}")
    say("apt-get update")
    _apt_get("update")
    for need in missing:
        if not need.is_there():
            say(f"apt-get install {need.package}")
            _apt_get("install", "-y", "--no-install-recommends", need.package)
    if absent := [need.package for need in NEEDS if not need.is_there()]:
        raise Unfit(f"installed, and yet not usable: {' '.join(absent)}")


def _apt_get(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *arguments]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise Unfit(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout).strip()[-1000:]}")


def main() -> int:
    try:
        prepare(lambda text: sys.stderr.write(f"machine: {text}\n"))
    except Unfit as e:
        sys.stderr.write(f"machine: {e}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
