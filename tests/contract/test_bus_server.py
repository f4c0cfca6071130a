"""The bundled nats-server as our child."""

import asyncio
import socket
import ssl
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bacalhau.bus.node import node_bus
from bacalhau.bus.orchestrator import orchestrator_bus
from bacalhau.bus.server import Tls, nats_server
from bacalhau.lib.errors import Unavailable
from bacalhau.models.wire.messages import BidResult
from tests.support.nats import Ends, cluster, kill_server


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_taken_port_is_told_with_its_cure(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} is in use: choose another with -c Orchestrator.Port="):
            async with nats_server(tmp_path, "127.0.0.1", port):
                pass


async def test_leaves_no_process_and_no_password_behind(tmp_path):
    async with nats_server(tmp_path, "127.0.0.1", 0) as server:
        pid = int((tmp_path / "nats-server.pid").read_text().split()[0])
        assert running(pid)
        assert server.url == f"nats://127.0.0.1:{server.port}"
        assert server.access.password not in (tmp_path / "nats-server.conf").read_text()
    assert not running(pid)
    assert not (tmp_path / "nats-server.pid").exists()


async def test_killed_server_comes_back_on_its_port(tmp_path):
    async with cluster(tmp_path) as made:
        _, down = await made.node("n")
        port, pid = made.server.port, await kill_server(tmp_path)
        await down.until(lambda: down.greeted >= 2)
        assert int((tmp_path / "nats-server.pid").read_text().split()[0]) != pid
        assert f":{port}" in (tmp_path / "nats-server.conf").read_text()


ORPHAN = """
import asyncio, os, pathlib, sys
from bacalhau.bus import child
from bacalhau.bus.server import nats_server
if sys.argv[2] == "leave":
    child._libc = None
async def main():
    async with nats_server(pathlib.Path(sys.argv[1]), "127.0.0.1", 0) as server:
        print((pathlib.Path(sys.argv[1]) / "nats-server.pid").read_text().split()[0], flush=True)
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""


async def orphan(folder: Path, how: str) -> tuple[asyncio.subprocess.Process, int]:
    """A program that runs a server in `folder`, and the server's process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHAN, str(folder), how, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        return process, int(await process.stdout.readline())


async def test_a_killed_parent_takes_its_server_along(tmp_path):
    process, pid = await orphan(tmp_path, "die")
    assert running(pid)
    process.kill()
    await process.wait()
    async with asyncio.timeout(5):
        while running(pid):
            await asyncio.to_thread(Path("/proc/self/stat").read_text)


async def test_what_an_earlier_run_left_is_ended(tmp_path):
    process, pid = await orphan(tmp_path, "leave")
    with pytest.raises(Unavailable, match=f"in use by process {process.pid}"):
        async with nats_server(tmp_path, "127.0.0.1", 0):
            pass
    process.kill()
    await process.wait()
    assert running(pid)
    async with nats_server(tmp_path, "127.0.0.1", 0):
        assert not running(pid)


async def test_another_program_with_the_noted_id_is_left_alone(tmp_path):
    process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
    (tmp_path / "nats-server.pid").write_text(f"{process.pid} 1\n")
    async with nats_server(tmp_path, "127.0.0.1", 0):
        assert process.returncode is None and running(process.pid)
    process.stdin.close()
    assert await process.wait() == 0


async def test_idle_memory_is_small(tmp_path):
    async with nats_server(tmp_path, "127.0.0.1", 0):
        pid = int((tmp_path / "nats-server.pid").read_text().split()[0])
        kib = int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
        assert kib < 40_000


def certificate(folder: Path) -> Tls:
    """A certificate for 127.0.0.1 that signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bus")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            name,
            name,
            key.public_key(),
            x509.random_serial_number(),
            now - timedelta(hours=1),
            now + timedelta(hours=1),
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "cert.pem", folder / "key.pem")
    tls.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tls


async def test_tls(tmp_path):
    async def allow(node_id: str, secret: str, token: str) -> bool:
        return True

    tls = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(tls.cert))
    ends = Ends()
    async with (
        nats_server(tmp_path, "127.0.0.1", 0, tls) as server,
        orchestrator_bus(server.url, server.access, allow) as bus,
    ):
        async with (
            bus.serve(ends.on_message, ends.on_request, ends.on_gone),
            node_bus(server.url, "n", "secret", tls=trusting) as node,
        ):
            await node.connected(10)
            await node.send("BidResult", BidResult(execution_id="e"), 1)
        async with node_bus(server.url, "n", "secret") as node:
            with pytest.raises(Unavailable, match="certificate verify failed"):
                await node.connected(1)
    assert len(ends.got) == 1
