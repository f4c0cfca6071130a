"""A Podman of the tests' own: its API service, images, containers and networks stand in one folder and go with it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bacalhau.app.dockerd import _answers
from tests.support.until import until

STOP_SECONDS = 60

# Limits that may be given inside another container, too: by default Podman raises them higher than that may be allowed.
_CONF = """
[containers]
default_ulimits = ["nofile=10000:10000", "nproc=20000:20000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
_SETTINGS = (("CONF", "containers"), ("REGISTRIES_CONF", "registries"))
# It ends with the tests. The monitors of its containers become children of the first of these programs and are reaped
# at once: Podman waits until they are gone.
_TIE = ("setpriv", "--pdeathsig", "TERM", "docker-init", "-s", "--")


@contextmanager
def serve_podman(*registries: str) -> Iterator[str]:
    """The URL of Podman's API service. `registries` are those without TLS, as host:port."""
    with TemporaryDirectory(prefix="bacalhau-podman-", dir="/tmp") as made:
        folder = Path(made)
        (folder / "containers.conf").write_text(_CONF)
        plain = (f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in registries)
        (folder / "registries.conf").write_text("".join(plain))
        (folder / "networks").mkdir()
        environment = os.environ | {f"CONTAINERS_{name}": str(folder / f"{at}.conf") for name, at in _SETTINGS}
        places = {"root": "root", "runroot": "run", "tmpdir": "tmp", "network-config-dir": "networks"}
        podman = ["podman", *(f"--{option}={folder / name}" for option, name in places.items())]
        url = f"unix://{folder}/podman.sock"
        with (folder / "log").open("wb") as log:
            service = subprocess.Popen(
                [*_TIE, *podman, "system", "service", "--time", "0", url],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=folder,  # conmon notes there that the kernel killed for want of memory
                start_new_session=True,
            )
            try:
                until(lambda: _is_there(service, url, folder / "log"), "Podman answers")
                yield url
            finally:
                done = [*podman, "rm", "--all", "--force", "--time", "0"]
                subprocess.run(done, env=environment, capture_output=True, timeout=STOP_SECONDS, check=False)
                service.terminate()
                service.wait(STOP_SECONDS)
                _unmount(folder)


def _is_there(service: "subprocess.Popen[bytes]", url: str, log: Path) -> bool:
    assert service.poll() is None, log.read_text()
    return _answers(url)


def _unmount(folder: Path) -> None:
    """Podman leaves its layers mounted on themselves; nobody could remove the folder."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if Path(mount).is_relative_to(folder)]):
        subprocess.run(["umount", mount], check=True)
