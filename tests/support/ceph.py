"""A Ceph cluster as small as one can be, for its S3 gateway: one monitor, one store in memory, no disk, no manager.

Nothing of it reaches beyond loopback and its own folder, and no process of it outlives the tests. All daemons trust one
another, so there are no keys to make; the gateway's own users have keys like everywhere else.
"""

import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bacalhau.bus.child import dying_with_parent
from tests.support.ports import free_port
from tests.support.s3 import ACCESS_KEY, SECRET_KEY
from tests.support.until import until

_SECONDS = 60
# The gateway has defaults of its own for these two, before those of the file.
_TRUSTING = ("--name=client.rgw", "--auth-client-required=none", "--ms-mon-client-mode=crc")
# Changes of the cluster are agreed on by one monitor, so nothing has to be collected before it does.
_CONFIGURATION = """[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}
mon initial members = a
mon allow pool size one = true
mon cluster log file = {folder}/cluster.log
mon data = {folder}/monitor
paxos propose interval = 0.02
paxos min wait = 0.01
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
keyring = {folder}/keyring
admin socket =
run dir = {folder}
crash dir = {folder}
log file = {folder}/$name.log
osd data = {folder}/store
osd objectstore = memstore
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
memstore device bytes = 4G
rgw frontends = beast endpoint=127.0.0.1:{gateway}
"""


@contextmanager
def ceph_gateway(folder: Path) -> Iterator[str]:
    """Serve S3 while the block runs; its URL. One user, the owner of the tests' keys, may do everything."""
    monitor, gateway = free_port(), free_port()
    for name in ("monitor", "store"):
        (folder / name).mkdir()
    (folder / "keyring").touch()
    fsid, store = str(uuid.uuid4()), str(uuid.uuid4())
    (folder / "ceph.conf").write_text(_CONFIGURATION.format(fsid=fsid, monitor=monitor, gateway=gateway, folder=folder))
    cluster = _Cluster(folder)
    cluster.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{monitor}]", "monmap")
    cluster.run("ceph-mon", "--id=a", "--mkfs", "--monmap=monmap")
    with ExitStack() as stack:
        stack.enter_context(cluster.running("ceph-mon", "--id=a"))
        cluster.run("ceph-osd", "--id=0", "--mkfs", f"--osd-uuid={store}")
        cluster.run("ceph", f"--connect-timeout={_SECONDS}", "osd", "new", store)
        stack.enter_context(cluster.running("ceph-osd", "--id=0"))
        served = stack.enter_context(cluster.running("radosgw", *_TRUSTING))
        keys = (f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")
        cluster.run("radosgw-admin", *_TRUSTING, "user", "create", "--uid=owner", "--display-name=owner", *keys)
        until(lambda: _listens(gateway) or served.poll() is not None, "the gateway answers", _SECONDS)
        assert served.poll() is None, (folder / "client.rgw.log").read_text(errors="replace")[-2000:]
        yield f"http://127.0.0.1:{gateway}"


class _Cluster:
    """The programs of Ceph with the configuration of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, program: str, *arguments: str) -> None:
        """Run a program that ends."""
        command = self._command(program, *arguments)
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    @contextmanager
    def running(self, program: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Keep a daemon running while the block runs. Its data is worth nothing afterwards, so it is killed."""
        command = self._command(program, *arguments, "--foreground")
        with (
            (self._folder / f"{program}.out").open("wb") as out,
            subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=dying_with_parent(),
            ) as child,
        ):
            try:
                yield child
            finally:
                child.kill()

    def _command(self, program: str, *arguments: str) -> list[str]:
        found = shutil.which(program)
        assert found, f"{program} is not installed: make machine"
        # The map of monitors is made without any configuration.
        settings = () if program == "monmaptool" else ("--conf=ceph.conf",)
        return [found, *settings, *arguments]


def _listens(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0
