"""A Docker API for devstack, demo and tests: the one that runs, else (as root on Debian or Ubuntu) a private daemon;
and an image to run where no registry can be reached. Servers proper never come here: they take the engine they find.
"""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bacalhau.border.tar import Member, join
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.plugins.docker.api import DockerApi, candidate_urls

ANSWER_SECONDS = 2.0
INSTALL_SECONDS = 600.0
START_SECONDS = 60.0
STOP_SECONDS = 30.0
PULL_SECONDS = 20.0
POLL_SECONDS = 0.1
_DEEPEST_SOCKET = "docker-run/exec/containerd/containerd-debug.sock"
_SOCKET_PATH_LIMIT = 104  # bytes; containerd refuses longer ones

PUBLIC_IMAGE = "alpine"
DEMO_REPO, DEMO_TAG = "bacalhau-demo/busybox", "latest"
_APPLETS = (
    "sh cp ls echo cat sleep mkdir true false env date dd head md5sum sha256sum wget nc id touch rm seq find wc grep"
    " sed awk tail sort stat du tr cut basename dirname test expr uname hostname"
)
_BUSYBOX = Path("/bin/busybox")

Say = Callable[[str], None]


def find_docker() -> str | None:
    """The URL of a Docker API that answers, or None. Blocks for up to ANSWER_SECONDS a candidate."""
    return next((url for url in candidate_urls() if _answers(url)), None)


@asynccontextmanager
async def docker_available(state: Path, say: Say) -> AsyncIterator[str]:
    """The URL of a Docker API for the block: a running one, or a private daemon with its data below `state`.

    Raises Unavailable saying what to install.
    """
    url = await asyncio.to_thread(find_docker)
    if url:
        yield url
        return
    if told := os.environ.get("DOCKER_HOST"):
        raise Unavailable(
            f"cannot reach the Docker API at {told}", hint="start it, or unset DOCKER_HOST to use another"
        )
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Unavailable(
            "no Docker API was found",
            hint=(
                "install and start Docker Engine or Podman (its API socket); as root on Debian or Ubuntu this is done"
                " for you"
            ),
        )
    await asyncio.to_thread(state.mkdir, parents=True, exist_ok=True)
    if not shutil.which("dockerd"):
        await _install(["docker.io", "iptables"], state / "install.log", say)
    async with _private_daemon(state, say) as url:
        yield url


async def ensure_image(url: str, say: Say) -> str:
    """The name of an image with a shell: `alpine`, or one made here of busybox where no registry answers."""
    demo = f"{DEMO_REPO}:{DEMO_TAG}"
    api = DockerApi(url)
    try:
        for name in (PUBLIC_IMAGE, demo):
            if await api.inspect_image(name):
                return name
        if await _pulled(api, say):
            return PUBLIC_IMAGE
        say(f"no registry can be reached: building {demo} from busybox")
        await _need_busybox(say)
        await api.import_image(
            DEMO_REPO, DEMO_TAG, await asyncio.to_thread(_root_archive), ['CMD ["/bin/sh"]', "ENV PATH=/bin"]
        )
        return demo
    finally:
        await api.close()


def _answers(url: str) -> bool:
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    try:
        with socket.socket(socket.AF_UNIX if scheme == "unix" else socket.AF_INET) as link:
            link.settimeout(ANSWER_SECONDS)
            link.connect(rest if scheme == "unix" else (host, int(port)))
            if os.environ.get("DOCKER_TLS_VERIFY"):
                return True
            link.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in link.recv(64)
    except (OSError, ValueError):
        return False


async def _install(packages: list[str], log: Path, say: Say) -> None:
    """Debian packages, without a question; the installer's words go to `log`."""
    wanted = " ".join(packages)
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Unavailable(
            f"{packages[0]} is not installed", hint=f"install it (Debian, Ubuntu: apt-get install {wanted})"
        )
    say(f"installing {wanted} (apt-get; log: {log})")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("ab") as output:
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            child = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
            try:
                async with asyncio.timeout(INSTALL_SECONDS):
                    code = await child.wait()
            finally:
                if child.returncode is None:
                    child.terminate()
                    await child.wait()
            if code:
                raise Unavailable(
                    f"{' '.join(command[:2])} failed with code {code}",
                    hint=f"see {log}, or install {wanted} yourself",
                    retryable=False,
                )


@asynccontextmanager
async def _private_daemon(state: Path, say: Say) -> AsyncIterator[str]:
    """A dockerd of our own, gone with the block, or with this process should it be killed."""
    short = len(os.fsencode(state / _DEEPEST_SOCKET)) <= _SOCKET_PATH_LIMIT
    run = state / "docker-run" if short else Path(tempfile.mkdtemp(prefix="bacalhau-"))
    run.mkdir(exist_ok=True)
    url, log = f"unix://{run}/docker.sock", state / "dockerd.log"
    say(f"starting a private Docker daemon (data: {state}/docker, log: {log})")
    options = ["--host", url, "--data-root", f"{state}/docker", "--exec-root", f"{run}/exec", "--pidfile", f"{run}/pid"]
    with log.open("ab") as output:
        # The kernel tells the daemon to stop when we die without a word; its containers go with it.
        tie = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        daemon = await asyncio.create_subprocess_exec(
            *tie,
            "dockerd",
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        await _answering(daemon, url, log)
        yield url
    finally:
        await _stopped(daemon)
        await _unmount(run)
        if not short:
            shutil.rmtree(run, ignore_errors=True)


async def _answering(daemon: asyncio.subprocess.Process, url: str, log: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await asyncio.to_thread(_answers, url):
                if daemon.returncode is not None:
                    raise Unavailable(
                        f"dockerd ended with code {daemon.returncode}: {_last_error(log)}",
                        hint=f"see {log}",
                        retryable=False,
                    )
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as e:
        raise Unavailable(
            f"dockerd did not answer within {START_SECONDS:.0f} s: {_last_error(log)}", hint=f"see {log}"
        ) from e


def _last_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() or [""]
    return next(
        (line for line in reversed(lines) if "level=fatal" in line or "failed to start daemon" in line), lines[-1]
    )


async def _stopped(daemon: asyncio.subprocess.Process) -> None:
    """SIGTERM lets it stop its containers and its containerd; SIGKILL is for one that cannot."""
    if daemon.returncode is not None:
        return
    daemon.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await daemon.wait()
    except TimeoutError:
        daemon.kill()
        await daemon.wait()


async def _unmount(folder: Path) -> None:
    """Docker leaves the host's network namespace mounted; nobody could remove the folder."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in mounts:
        if Path(mount).is_relative_to(folder):
            child = await asyncio.create_subprocess_exec("umount", "--lazy", mount)
            await child.wait()


async def _pulled(api: DockerApi, say: Say) -> bool:
    say(f"pulling {PUBLIC_IMAGE}")
    try:
        async with asyncio.timeout(PULL_SECONDS):
            async for _ in api.pull(PUBLIC_IMAGE):
                pass
    except (BacalhauError, TimeoutError):
        return False
    return await api.inspect_image(PUBLIC_IMAGE) is not None


async def _need_busybox(say: Say) -> None:
    if not await asyncio.to_thread(_is_static, _BUSYBOX):
        await _install(["busybox-static"], Path(tempfile.gettempdir()) / "bacalhau-install.log", say)


def _is_static(program: Path) -> bool:
    """Needs no library that an empty image would lack: its header names no loader."""
    try:
        with program.open("rb") as file:
            return b"/ld-" not in file.read(4096)
    except OSError:
        return False


def _root_archive() -> bytes:
    """A root file system as tar: busybox, a link for each applet, and the folders programs expect."""
    folders = (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777))
    program = _BUSYBOX.read_bytes()
    return join(
        [
            *((Member(name, mode=mode, is_folder=True), b"") for name, mode in folders),
            (Member("bin/busybox", len(program), 0o755), program),
            *((Member(f"bin/{applet}", link="busybox"), b"") for applet in _APPLETS.split()),
        ]
    )
