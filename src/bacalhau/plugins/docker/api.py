"""The Engine API as this engine needs it: finding the daemon, one connection pool, a dozen requests, plain values back.

The one place that sees the client library and its errors.
"""

import asyncio
import gzip
import io
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.stream import Stream
from aiohttp.http import HttpProcessingError
from yarl import URL

from bacalhau.lib.errors import EngineFailure, NotFound
from bacalhau.lib.wire import decode
from bacalhau.plugins.docker.credentials import ANONYMOUS, Login
from bacalhau.plugins.docker.failure import not_pulled, refused, unreachable
from bacalhau.plugins.docker.isolation import Facts
from bacalhau.plugins.docker.reference import full_name

T = TypeVar("T")

OLDEST = "1.24"  # version of the API, for a daemon that does not tell its own
CONNECT_SECONDS = 10  # a daemon starting forty containers answers late
REQUEST_SECONDS = 300  # a loaded daemon queues starts; beyond this it is stuck
_ENDLESS = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_STEADY = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=REQUEST_SECONDS)
_UNREADABLE = (
    ValueError,
    HttpProcessingError,
)  # no JSON, or a line longer than the client library takes: events hold the labels of images
_NOT_THERE = "N/A"  # the commit of a program that the daemon could not run
_TAKEN = "is already in use by"  # of a name; Podman answers 500 for it
_PIECE = 1 << 20  # bytes of an archive that are written at a time
_LOST = 900  # the client library's status for "no connection"


class Chunk(NamedTuple):
    """`stream` 1 is stdout, 2 stderr."""

    stream: int
    data: bytes


def candidate_urls() -> list[str]:
    """List the URLs where a Docker API may listen: DOCKER_HOST alone if set, else the usual sockets that exist."""
    if told := os.environ.get("DOCKER_HOST"):
        return [told]
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    usual = [
        Path("/var/run/docker.sock"),
        runtime / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
        Path.home() / ".docker/run/docker.sock",
        runtime / "docker.sock",
    ]
    return [f"unix://{path}" for path in usual if path.is_socket()]


class DockerApi:
    """Opened by its first request; `close` ends it. Failures are Unavailable, EngineFailure or NotFound."""

    def __init__(self, url: str = "") -> None:
        self._wanted = url
        self._docker: Docker | None = None
        self._opening = asyncio.Lock()
        self.url = url
        self.is_podman = False

    async def close(self) -> None:
        docker, self._docker = self._docker, None
        if docker is not None:
            await docker.close()
            await docker.connector.close()

    async def ping(self) -> None:
        """Return when the daemon answers. It is not asked for its version: Podman runs programs to tell it."""
        docker = await self._client()
        with self._translated("ask the daemon whether it is there"):
            async with asyncio.timeout(CONNECT_SECONDS):
                await _get(docker, "_ping")

    async def info(self) -> Facts:
        """Ask the daemon what it has; it runs programs to find out, so ask rarely."""
        docker = await self._client()
        with self._translated("ask the daemon what it has"):
            async with asyncio.timeout(CONNECT_SECONDS):
                told = await docker.system.info()
        has_init = bool(told.get("InitBinary")) and (told.get("InitCommit") or {}).get("ID") != _NOT_THERE
        # Podman lists runtimes that are not installed, too, and takes no word about them in a request.
        runtimes = [told.get("DefaultRuntime", "")] if self.is_podman else sorted(told.get("Runtimes") or ())
        is_rootless = self.is_podman and bool(told.get("Rootless"))
        has_limits = not is_rootless or str(told.get("CgroupVersion")) != "1"
        return Facts(tuple(runtimes), has_init, self.is_podman, is_rootless, has_limits)

    async def create(self, name: str, config: dict[str, Any]) -> str:
        """The new container's id, "" when the name is taken. NotFound when the image is not there."""
        docker = await self._client()
        with self._translated("create container"):
            try:
                return (await docker.containers.create(config, name=name)).id
            except DockerError as e:
                if e.status == 409 or _TAKEN in e.message:
                    return ""
                raise

    async def start(self, name: str) -> None:
        docker = await self._client()
        with self._translated("start container", gone=()):
            await docker.containers.container(name).start()

    async def inspect(self, name: str) -> dict[str, Any] | None:
        docker = await self._client()
        with self._translated("inspect container"):
            return await self._or_none(docker.containers.container(name).show())

    async def wait(self, name: str, condition: str = "not-running") -> int:
        """The exit code, once the container is no longer running (or `removed`)."""
        docker = await self._client()
        with self._translated("wait for container"):
            code = int((await docker.containers.container(name).wait(condition=condition))["StatusCode"])
        if self.is_podman and await self.inspect(name) is None:
            # Podman says 0 of one that was removed while it ran.
            raise NotFound(f"failed to wait for container: {name} is gone", component="Docker")
        return code

    async def stop(self, name: str, grace: int) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; nothing when it is not running or not there."""
        docker = await self._client()
        with self._translated("stop container"):
            async with asyncio.timeout(grace + REQUEST_SECONDS):
                await self._or_none(docker.containers.container(name).stop(t=grace))

    async def remove(self, name: str) -> None:
        """Kill and remove with its anonymous volumes; nothing when it is gone or going."""
        docker = await self._client()
        with self._translated("remove container"):
            try:
                await docker.containers.container(name).delete(force=True, v=True)
            except DockerError as e:
                if e.status != 409 and not _is_gone(e):
                    raise

    async def list_by_label(self, label: str) -> list[dict[str, Any]]:
        """Containers with `name=value` in any state, but for those that are being removed, as {"Id", "Labels"}."""
        docker = await self._client()
        with self._translated("list containers"):
            found = await docker.containers.list(all=True, filters=json.dumps({"label": [label]}))
        there = (one for one in found if one["State"] != "removing")
        return [{"Id": one["Id"], "Labels": one["Labels"]} for one in there]

    async def create_network(self, config: dict[str, Any]) -> None:
        docker = await self._client()
        with self._translated("create network"):
            await docker.networks.create(config)

    async def inspect_network(self, name: str) -> dict[str, Any] | None:
        docker = await self._client()
        with self._translated("inspect network"):
            network = await self._or_none(docker.networks.get(name))
            return None if network is None else await self._or_none(network.show())

    async def remove_network(self, name: str) -> None:
        """Refused while containers are on it; nothing when it is gone."""
        docker = await self._client()
        with self._translated("remove network"):
            network = await self._or_none(docker.networks.get(name))
            if network is not None:
                await network.delete()

    @asynccontextmanager
    async def attach(self, name: str) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The output of a container from now on, byte by byte: attach before the start and nothing is missed."""
        docker = await self._client()

        async def where() -> tuple[URL, bytes | None, bool]:
            return URL(f"containers/{name}/attach").with_query(stream="1", stdout="1", stderr="1"), None, False

        with self._translated("start container"):  # for Podman, this is the first half of it
            async with Stream(docker, where, _ENDLESS) as stream:
                yield _attached(stream)

    @asynccontextmanager
    async def logs(self, name: str, *, follow: bool) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The output of a container from its beginning to now, or with `follow` until about its end.

        NotFound too when it is being removed.
        """
        query = {"stdout": "1", "stderr": "1", "follow": str(int(follow))}
        with self._translated("read container logs", gone=(404, 409)):
            async with self._stream(
                "GET", f"containers/{name}/logs", query, limit=_ENDLESS if follow else _STEADY
            ) as response:
                yield _framed(response.content)

    @asynccontextmanager
    async def events(self, filters: Mapping[str, list[str]]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        with self._translated("follow events"):
            async with self._stream("GET", "events", {"filters": json.dumps(filters)}) as response:
                yield (decode(line, dict[str, Any]) async for line in response.content)

    async def inspect_image(self, image: str) -> dict[str, Any] | None:
        docker = await self._client()
        with self._translated(f"inspect image {image}"):
            return await self._or_none(docker.images.inspect(image))

    async def pull(self, image: str, login: Login = ANONYMOUS) -> AsyncIterator[dict[str, Any]]:
        """The daemon's progress lines; ends when the image is there."""
        docker = await self._client()
        try:
            async for line in docker.images.pull(full_name(image), auth=login.auth, stream=True):
                yield line
        except DockerError as e:
            if e.status == _LOST:
                raise unreachable(self.url, e.message) from e
            raise not_pulled(image, e.message, login.told) from e
        except (aiohttp.ClientError, OSError) as e:
            raise unreachable(self.url, str(e) or type(e).__name__) from e
        except _UNREADABLE as e:
            raise EngineFailure(
                f"failed to pull image {image}: the answer cannot be read: {e}", retryable=True, component="Docker"
            ) from e

    async def import_image(self, repo: str, tag: str, archive: bytes, changes: list[str]) -> None:
        """Make an image of one layer from a tar archive and Dockerfile instructions."""
        query = [("fromSrc", "-"), ("repo", repo), ("tag", tag), *(("changes", change) for change in changes)]
        with self._translated(f"import image {repo}:{tag}"):
            async with self._stream("POST", "images/create", query, io.BytesIO(archive), _STEADY) as response:
                await response.read()

    async def put_archive(self, name: str, path: str, archive: bytes) -> None:
        """Unpack a tar archive at `path` of a container, also of one that has ended."""
        with self._translated(f"write to {path} of the container"):
            async with self._stream(
                "PUT", f"containers/{name}/archive", {"path": path}, io.BytesIO(archive), _STEADY
            ) as response:
                await response.read()

    async def save_archive(self, name: str, path: str, into: Path) -> None:
        """Write a file or folder of a container to `into`, as tar.gz."""
        with self._translated(f"read {path} of the container"):
            async with self._stream("GET", f"containers/{name}/archive", {"path": path}, limit=_STEADY) as response:
                with gzip.open(into, "wb", compresslevel=1) as file:
                    async for chunk in response.content.iter_chunked(_PIECE):
                        await asyncio.to_thread(file.write, chunk)

    async def _client(self) -> Docker:
        async with self._opening:
            if self._docker is None:
                self._docker = await self._open()
            return self._docker

    async def _open(self) -> Docker:
        """The first place that answers."""
        failure = unreachable("unix:///var/run/docker.sock", "there is no such socket")
        for url in [self._wanted] if self._wanted else candidate_urls():
            try:
                docker = _connect(url)
            except (ValueError, OSError) as e:
                failure = unreachable(url, str(e))
                continue
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    version = decode(await _get(docker, "version"), dict[str, Any])
            except (DockerError, aiohttp.ClientError, OSError, *_UNREADABLE) as e:
                failure = unreachable(url, _reason(e))
                await docker.close()
                await docker.connector.close()
                continue
            docker.api_version = f"v{version.get('ApiVersion') or OLDEST}"  # else the library asks again
            self.url = url
            self.is_podman = any(
                "podman" in str(part.get("Name", "")).lower() for part in version.get("Components") or ()
            )
            return docker
        raise failure

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        path: str,
        query: Any,
        body: io.BytesIO | None = None,
        limit: aiohttp.ClientTimeout = _ENDLESS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request whose answer is read raw, as it comes."""
        docker = await self._client()
        url = f"{docker.docker_host}/{docker.api_version}/{path}"
        async with docker.session.request(method, url, params=query, data=body, timeout=limit) as response:
            await _check_status(response)
            yield response

    async def _or_none(self, request: Awaitable[T]) -> T | None:
        try:
            return await request
        except DockerError as e:
            if _is_gone(e):
                return None
            raise

    @contextmanager
    def _translated(self, doing: str, *, gone: tuple[int, ...] = (404,)) -> Iterator[None]:
        """`gone`: the statuses that say that the named thing is not there (starting answers 404 for a missing
        executable too).
        """
        try:
            yield
        except DockerError as e:
            if e.status == _LOST:
                raise unreachable(self.url, _reason(e)) from e
            if e.status in gone:
                raise NotFound(f"failed to {doing}: {e.message}", component="Docker") from e
            raise refused(doing, e.status, e.message) from e
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as e:
            raise unreachable(self.url, _reason(e)) from e
        except asyncio.IncompleteReadError as e:
            raise EngineFailure(f"failed to {doing}: the answer ended early", retryable=True, component="Docker") from e
        except _UNREADABLE as e:
            raise EngineFailure(
                f"failed to {doing}: the answer cannot be read: {e}", retryable=True, component="Docker"
            ) from e


async def _get(docker: Docker, path: str) -> bytes:
    """Return the answer to a request that is the same in each version of the API."""
    async with docker.session.get(f"{docker.docker_host}/{path}") as response:
        await _check_status(response)
        return await response.read()


async def _check_status(response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        raise DockerError(response.status, decode(await response.read(), dict[str, Any])["message"])


def _is_gone(error: DockerError) -> bool:
    """Tell whether the named thing is not there. Podman answers 500 for one that goes meanwhile."""
    return error.status == 404 or "no such container" in error.message


def _reason(error: BaseException) -> str:
    """Return the system's own words, which the innermost error holds."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or (
        "no answer in time" if isinstance(error, TimeoutError | asyncio.CancelledError) else type(error).__name__
    )


def _connect(url: str) -> Docker:
    """Open a session without the library's limit of 100 connections: each running container holds two."""
    limit = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
    if url.startswith("unix://"):
        return Docker(
            "unix://localhost", connector=aiohttp.UnixConnector(url.removeprefix("unix://"), limit=0), timeout=limit
        )
    if url.startswith(("tcp://", "http://", "https://")):
        secure = os.environ.get("DOCKER_TLS_VERIFY", "") not in ("", "0")
        connector = aiohttp.TCPConnector(limit=0, ssl=_client_tls() if secure else True)
        return Docker("https://" + url.partition("://")[2] if secure else url, connector=connector, timeout=limit)
    return Docker(url, timeout=limit)


def _client_tls() -> ssl.SSLContext:
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(str(folder / "cert.pem"), str(folder / "key.pem"))
    return context


async def _attached(stream: Stream) -> AsyncIterator[Chunk]:
    while (message := await stream.read_out()) is not None:
        yield Chunk(message.stream, message.data)


async def _framed(content: aiohttp.StreamReader) -> AsyncIterator[Chunk]:
    """Frames: stream number, three zero bytes, length (big-endian, 4 bytes), data."""
    while True:
        try:
            head = await content.readexactly(8)
        except asyncio.IncompleteReadError as e:
            if e.partial:
                raise
            return
        yield Chunk(head[0], await content.readexactly(int.from_bytes(head[4:], "big")))
