"""The limits that every container gets: capabilities, open files, processes, its runtime, its root file system. Pure.

Capabilities that stay are those that ordinary images need, the same as Podman's: CHOWN, DAC_OVERRIDE, FOWNER, FSETID,
KILL, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID and SYS_CHROOT.
"""

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from bacalhau.config.plugins import DockerSettings
from bacalhau.lib.errors import BadRequest, Unavailable
from bacalhau.models.job.resources import Resources

KEY = "Engines.Types.Docker"
SCRATCH = "/tmp"
# Programs that are made to be process 1, or say that they are not: s6-overlay, systemd, SysV, runit, OpenRC, reapers.
_PROCESS_1 = """init systemd my_init openrc-init runit runit-init runsvdir s6-svscan catatonit docker-init dumb-init
podman-init tini tini-static"""
_CAPABILITIES = """ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE
DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN
NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE
SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM"""


_OTHER_DOCKER = "others are named in its daemon.json, under runtimes"
_OTHER_PODMAN = "this is Podman, which takes its own runtime for all containers: set it in its containers.conf"


class Facts(NamedTuple):
    """A daemon's own account: the runtimes that containers may get, whether it has a program for `Init`, whether it is
    Podman, run by another user than root, and whether limits of CPU, memory and processes hold.
    """

    runtimes: tuple[str, ...] = ()
    has_init: bool = False
    is_podman: bool = False
    is_rootless: bool = False
    has_limits: bool = True


@dataclass(frozen=True)
class Isolation:
    """The limits of all containers of a node; see `config.plugins.DockerSettings`. `cap_drop` has no prefix."""

    runtime: str = ""
    userns_mode: str = ""
    cap_drop: tuple[str, ...] = DockerSettings().cap_drop
    readonly_rootfs: bool = False
    init: bool = True
    max_open_files: int = DockerSettings().max_open_files
    max_processes: int = DockerSettings().max_processes
    no_new_privileges: bool = True

    @property
    def asks_daemon(self) -> bool:
        """Tell whether the daemon can lack what the settings name."""
        return bool(self.runtime or self.userns_mode)

    def require(self, facts: Facts) -> None:
        """Return when the daemon has what the settings name. Raises Unavailable naming setting and cure."""
        if self.runtime and self.runtime not in facts.runtimes:
            raise Unavailable(
                f"{KEY}.Runtime is {self.runtime}, which the Docker daemon does not know",
                hint=f"it knows {', '.join(facts.runtimes)}; {_OTHER_PODMAN if facts.is_podman else _OTHER_DOCKER}",
                component="Docker",
            )
        if self.userns_mode not in ("", "host") and not facts.is_podman:
            raise Unavailable(
                f"{KEY}.UsernsMode is {self.userns_mode}, which is Podman's, and this is Docker",
                hint='set "userns-remap" in its daemon.json, and leave UsernsMode empty',
                component="Docker",
            )

    def suited_to(self, program: str) -> "Isolation":
        """Return these limits without a process 1 of ours where the program of a container is one itself."""
        return replace(self, init=False) if PurePosixPath(program).name in _PROCESS_1.split() else self

    def host_config(self, need: Resources, targets: frozenset[str], facts: Facts) -> dict[str, Any]:
        """Make a part of HostConfig for a container whose mounts are at `targets`."""
        made: dict[str, Any] = {
            "CapDrop": list(self.cap_drop),
            "PidsLimit": self.max_processes,
        }
        if self.no_new_privileges:
            made["SecurityOpt"] = ["no-new-privileges"]
        if self.max_open_files:
            made["Ulimits"] = [{"Name": "nofile", "Soft": self.max_open_files, "Hard": self.max_open_files}]
        if self.init and facts.has_init:
            made["Init"] = True
        if self.runtime:
            made["Runtime"] = self.runtime
        if self.userns_mode:
            made["UsernsMode"] = self.userns_mode
        if self.readonly_rootfs:
            made["ReadonlyRootfs"] = True
            if SCRATCH not in targets:
                made["Tmpfs"] = {SCRATCH: _scratch_options(need)}
        return made


USUAL = Isolation()


def _scratch_options(need: Resources) -> str:
    """Programs may be run there, as in an image's own folder; what it holds counts as the task's memory."""
    size = f",size={need.memory}" if need.memory > 0 else ""
    return f"rw,exec,nosuid,nodev,mode=1777{size}"


def read_isolation(settings: DockerSettings) -> Isolation:
    """Read the limits of containers. Raises BadRequest naming key and value."""
    return Isolation(
        runtime=settings.runtime.strip(),
        userns_mode=settings.userns_mode,
        cap_drop=tuple(_read_capability(text) for text in settings.cap_drop),
        readonly_rootfs=settings.readonly_rootfs,
        init=settings.init,
        max_open_files=settings.max_open_files,
        max_processes=settings.max_processes,
        no_new_privileges=settings.no_new_privileges,
    )


def _read_capability(text: str) -> str:
    name = text.strip().upper().removeprefix("CAP_")
    if name not in _CAPABILITIES.split():
        raise BadRequest(
            f"{KEY}.CapDrop: {text!r} is not a capability",
            hint="write names as capabilities(7) has them, such as NET_RAW,SYS_CHROOT, or ALL",
        )
    return name
