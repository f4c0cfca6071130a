"""The checks of `bacalhau doctor`. Each looks at one thing that jobs need and never raises what it finds."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from bacalhau.cli.frame.connection import connect
from bacalhau.cli.frame.lazy import resolve
from bacalhau.cli.system.asking import ask_activity
from bacalhau.client.client import AsyncClient
from bacalhau.client.overrides import Overrides
from bacalhau.config.load import load_settings
from bacalhau.config.schema import Config
from bacalhau.lib.clock import from_rfc3339, now_ns
from bacalhau.lib.errors import BacalhauError, NotFound
from bacalhau.lib.ports import is_free
from bacalhau.lib.units import show_bytes
from bacalhau.lib.wire import Model
from bacalhau.models.node.version import this_version

OK, WARNING, BROKEN = "ok", "warning", "broken"
_LOW = 5_000_000_000  # bytes free, below which most inputs and images do not fit
_NONE = 200_000_000  # bytes free, below which nothing runs
_OFF = 5.0  # seconds that clocks may differ; a store refuses signatures 15 minutes off
_FAR = 300.0
_SECONDS = 10.0  # for one check


class Finding(Model):
    """The result of a check: ok, warning or broken, what was found, and what to do about it."""

    name: str
    state: str
    message: str
    cure: str = ""


class Place(NamedTuple):
    """The subject of the checks: flags, the configuration they lead to, and whether this machine is a node."""

    settings: Overrides
    config: Config

    @property
    def folder(self) -> Path:
        return Path(self.config.data_dir)

    @property
    def is_node(self) -> bool:
        return self.config.compute.enabled or (self.folder / "compute").is_dir()


Check = Callable[[Place], Awaitable[Finding]]


async def check_all(settings: Overrides) -> list[Finding]:
    """Run all checks side by side; without a configuration that can be read there is only that one."""
    try:
        config = await asyncio.to_thread(_read_config, settings)
    except BacalhauError as e:
        return [Finding(name="config", state=BROKEN, message=e.message, cure=e.hint)]
    place = Place(settings, config)
    first = Finding(name="config", state=OK, message=f"data directory {place.folder}")
    return [first, *await asyncio.gather(*(_run(name, check, place) for name, check in CHECKS.items()))]


def _read_config(settings: Overrides) -> Config:
    given = {"API.Host": settings.api_host, "API.Port": settings.api_port, "DataDir": settings.data_dir}
    flags = {key: value for key, value in given.items() if value is not None}
    return load_settings(list(settings.config), os.environ, flags).config


async def _run(name: str, check: Check, place: Place) -> Finding:
    try:
        async with asyncio.timeout(_SECONDS):
            return await check(place)
    except BacalhauError as e:
        return Finding(name=name, state=BROKEN, message=e.message, cure=e.hint)
    except TimeoutError:
        return Finding(name=name, state=BROKEN, message=f"no answer within {_SECONDS:.0f} s", cure=_TRY_AGAIN)
    except OSError as e:
        message = f"{e.filename}: {e.strerror}" if e.filename else str(e)
        return Finding(name=name, state=BROKEN, message=message, cure="see what the system says of it")


_TRY_AGAIN = "look whether what it waits for hangs, then run the check again"


async def check_server(place: Place) -> Finding:
    async with connect(place.settings) as client:
        found = await client.version()
        nodes = await client.nodes()
    connected = sum(node.connection_state.status == "CONNECTED" for node in nodes)
    text = f"{client.endpoint.url} answers: API {found.git_version}, {connected} of {len(nodes)} nodes connected"
    if not connected:
        cure = "start a node: `bacalhau serve --compute -c Compute.Orchestrators=nats://HOST:4222`"
        return Finding(name="server", state=WARNING, message=text, cure=cure)
    own = this_version()
    if (found.major, found.minor) != (own.major, own.minor):
        cure = f"this client speaks {own.git_version}: update the older of both"
        return Finding(name="server", state=WARNING, message=text, cure=cure)
    return Finding(name="server", state=OK, message=text)


async def check_credentials(place: Place) -> Finding:
    """Check those for this server, and name those for S3, without a secret."""
    async with connect(place.settings) as client:
        signed = "Authorization" in client.endpoint.headers
    who = await asyncio.to_thread(lambda: resolve("bacalhau.plugins.s3.ambient:read_ambient")())
    access = "a token or key for the server" if signed else "none for the server"
    return Finding(name="credentials", state=OK, message=f"{access}; S3: {who.identity}")


async def check_clock(place: Place) -> Finding:
    """Compare the clocks of this machine and of the server."""
    async with connect(place.settings) as client:
        off = await _clock_difference(client)
    if off is None:
        return Finding(name="clock", state=WARNING, message="the server does not tell its time", cure="compare by hand")
    text = f"{abs(off):.1f} s {'before' if off > 0 else 'behind'} the server's"
    if abs(off) <= _OFF:
        return Finding(name="clock", state=OK, message=f"agrees with the server's ({text})")
    cure = "set the clock of both machines by NTP: signatures and time limits depend on it"
    return Finding(name="clock", state=BROKEN if abs(off) > _FAR else WARNING, message=text, cure=cure)


async def _clock_difference(client: AsyncClient) -> float | None:
    """Return how many seconds this machine's clock is before the server's. None where it does not tell."""
    before = now_ns()
    try:
        told = (await ask_activity(client)).time
    except NotFound:
        return None
    return (before + now_ns()) / 2e9 - from_rfc3339(told) / 1e9


async def check_docker(place: Place) -> Finding:
    """Ask the daemon. Only a node needs it."""
    api = resolve("bacalhau.plugins.docker.api:DockerApi")()
    try:
        await api.ping()
    except BacalhauError as e:
        if place.is_node:
            raise
        cure = "; ".join(filter(None, ("only a machine that runs jobs needs it", e.hint)))
        return Finding(name="docker", state=WARNING, message=e.message, cure=cure)
    finally:
        await api.close()
    return Finding(name="docker", state=OK, message=f"{'Podman' if api.is_podman else 'Docker'} answers at {api.url}")


async def check_disk(place: Place) -> Finding:
    folder = _existing(place.folder)
    usage = shutil.disk_usage(folder)
    text = f"{show_bytes(usage.free)} of {show_bytes(usage.total)} free in {folder}"
    if usage.free >= _LOW:
        return Finding(name="disk", state=OK, message=text)
    cure = "make room (`bacalhau agent storage`, `bacalhau node cache prune`, `docker image prune`), or set --data-dir"
    return Finding(name="disk", state=BROKEN if usage.free < _NONE else WARNING, message=text, cure=cure)


async def check_permissions(place: Place) -> Finding:
    """Check that the data directory can be written, and that no other user can read the keys in it."""
    folder = _existing(place.folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        cure = f"give it to user {os.getuid()}, or choose another with --data-dir"
        return Finding(name="permissions", state=BROKEN, message=f"{folder} cannot be written", cure=cure)
    secret = [place.folder / "user_id.pem", place.folder / "sso_tokens.json"]
    loose = [path for path in secret if path.exists() and path.stat().st_mode & 0o077]
    if loose:
        names = " ".join(map(str, loose))
        text = f"other users can read {names}"
        return Finding(name="permissions", state=BROKEN, message=text, cure=f"`chmod 600 {names}`")
    return Finding(name="permissions", state=OK, message=f"{folder} can be written")


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


async def check_ports(place: Place) -> Finding:
    """Look whether the ports of a server are free, or in use by one."""
    wanted = {"API.Port": place.config.api.port, "Orchestrator.Port": place.config.orchestrator.port}
    taken = {key: port for key, port in wanted.items() if not is_free("127.0.0.1", port)}
    if not taken:
        return Finding(name="ports", state=OK, message=f"{', '.join(map(str, wanted.values()))} are free")
    text = ", ".join(f"{port} ({key})" for key, port in taken.items())
    if await _is_served(place):
        return Finding(name="ports", state=OK, message=f"{text} in use by the server that answers")
    again = " ".join(f"-c {key}=PORT" for key in taken)
    cure = f"stop what listens there (`ss -ltnp`), or serve elsewhere: {again}"
    return Finding(name="ports", state=WARNING, message=f"{text} in use by another program", cure=cure)


async def _is_served(place: Place) -> bool:
    try:
        async with connect(place.settings) as client:
            await client.alive()
    except BacalhauError:
        return False
    return True


CHECKS: dict[str, Check] = {
    "server": check_server,
    "clock": check_clock,
    "credentials": check_credentials,
    "docker": check_docker,
    "disk": check_disk,
    "permissions": check_permissions,
    "ports": check_ports,
}
