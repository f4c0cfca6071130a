"""Results that stay on the node's disk and are fetched from it over HTTP: for a network whose clients reach
its nodes.
"""

import asyncio
import errno
import os
import re
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from bacalhau.border.addresses import is_loopback
from bacalhau.border.archive import pack, tree_size
from bacalhau.border.names import shorten
from bacalhau.lib.errors import PublisherFailure, Unavailable
from bacalhau.lib.network import bare_host, host_in_url
from bacalhau.lib.wire import Model
from bacalhau.models.job.spec import SpecConfig, read_exactly
from bacalhau.ports.plugin import Setting
from bacalhau.ports.progress import Report, Step
from bacalhau.ports.publisher import Published, Result, ResultInput, wrong_type

SUFFIX = ".tar.gz"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\.tar\.gz")
_SERVER = re.compile(r"http://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_KEY = "Publishers.Types.Local.Port"


class LocalResult(Model):
    """A result as it is reported; `url` is where the node serves it."""

    url: str = msgspec.field(default="", name="URL")


def check_result(published: Published) -> list[str]:
    """List why a report is no result of this execution on a node. Which host a node has is known to the node alone; the
    rest of the URL is not its to choose.
    """
    params, problems = read_exactly(published.result, LocalResult)
    name = f"/{published.execution_id}{SUFFIX}"
    if params and not (params.url.endswith(name) and _SERVER.fullmatch(params.url.removesuffix(name))):
        problems.append(f"URL {shorten(params.url)!r} is not http://ADDRESS:PORT{name}")
    return wrong_type(published, "urlDownload") + problems


def as_input(published: Published, path: str) -> ResultInput:
    """Say which input brings a result: the archive that its node serves."""
    return ResultInput(SpecConfig(type="urlDownload", params=published.result.params), path, is_archive=True)


class LocalPublisher:
    """A Publisher; open it with `async with`.

    It listens from its first result on, and at once where there are some of earlier days.

    `address` is what clients are told; only where it is a loopback one, nobody else is listened to.
    """

    def __init__(self, folder: Path, address: str, port: int) -> None:
        self._folder, self._address, self._port = folder, bare_host(address), port
        self._runner: web.AppRunner | None = None
        self._opening = asyncio.Lock()
        self._problem = ""

    async def __aenter__(self) -> Self:
        if self._folder.is_dir() and any(self._folder.iterdir()):
            try:
                await self._serve()
            except PublisherFailure as e:
                self._problem = e.message
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def check(self) -> None:
        problem = self._problem or ("" if self._runner else _why_not(self._host(), self._port))
        if problem:
            raise Unavailable(problem, hint=f"set {_KEY} to a free port")

    async def publish(self, result: Result, report: Report) -> SpecConfig:
        await self._serve()
        try:
            size = await asyncio.to_thread(tree_size, result.folder)
        except OSError as e:
            raise PublisherFailure(f"cannot read the result {e.filename or result.folder}: {e.strerror or e}") from e
        report(Step("publishing", 0, 1, 0, size))
        name = result.execution_id + SUFFIX
        await result.confirm()
        try:
            await asyncio.to_thread(_write, result, self._folder / name)
        except OSError as e:
            hint = "free space on the node's disk" if e.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise PublisherFailure(
                f"the result cannot be kept at {self._folder}: {e.strerror or e}", hint=hint, retryable=True
            ) from e
        report(Step("publishing", 1, 1, size, size))
        return SpecConfig(
            type="urlDownload", params={"URL": f"http://{host_in_url(self._address)}:{self._listening_port()}/{name}"}
        )

    def _host(self) -> str:
        if is_loopback(self._address):
            return self._address
        return "::" if ":" in self._address else "0.0.0.0"

    async def _serve(self) -> None:
        async with self._opening:
            if self._runner is not None:
                return
            app = web.Application()
            app.router.add_get("/{name}", self._answer)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, self._host(), self._port).start()
            except OSError as e:
                await runner.cleanup()
                raise PublisherFailure(
                    _cannot_listen(self._port, e), hint=f"set {_KEY} to a free port", retryable=True
                ) from e
            self._runner, self._problem = runner, ""

    def _listening_port(self) -> int:
        return int(self._runner.addresses[0][1]) if self._runner else self._port

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = self._folder / name
        if not _NAME.fullmatch(name) or not path.is_file():
            raise web.HTTPNotFound(text="no such result\n")
        return web.FileResponse(path)


def _write(result: Result, path: Path) -> None:
    """Whole or not at all, and on the disk when it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        for piece in pack(result.folder, result.tell):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def _why_not(host: str, port: int) -> str:
    """Say why nobody could listen there now; "" when one could."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            return _cannot_listen(port, e)
    return ""


def _cannot_listen(port: int, error: OSError) -> str:
    reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened on: {error.strerror or error}"
    return f"port {port} for local results {reason}"


def make_publisher(setting: Setting) -> LocalPublisher:
    local = setting.config.publishers.types.local
    folder = Path(setting.config.data_dir) / "compute" / "results" / "local-publisher"
    return LocalPublisher(folder, local.address, local.port)
