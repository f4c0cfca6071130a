"""The HTTP server: routes put together, and uvicorn running them inside our own event loop."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from bacalhau.api.access.guard import Guard
from bacalhau.api.http.answer import Answer
from bacalhau.api.http.connection import Connection, SocketConnection
from bacalhau.api.http.edge import Edge, Receive, Scope, Send
from bacalhau.api.http.errors import on_crash, on_expected, on_framework
from bacalhau.api.http.request import Waits
from bacalhau.api.seed.routes import seed_routers
from bacalhau.api.v1.agent import AGENT_ROUTES, ROOT_ROUTES, server_version
from bacalhau.api.v1.auth import AUTH_ROUTES, is_guarded
from bacalhau.api.v1.events import EVENT_ROUTES
from bacalhau.api.v1.ipfs import GATEWAY_ROUTES
from bacalhau.api.v1.jobs import JOB_ROUTES
from bacalhau.api.v1.logs import LOG_ROUTES
from bacalhau.api.v1.nodes import NODE_ROUTES
from bacalhau.api.v1.openapi import openapi_config
from bacalhau.api.v1.planning import PLANNING_ROUTES
from bacalhau.config.access import Auth, access_problems
from bacalhau.config.schema import Config
from bacalhau.lib.aio import Signal, background
from bacalhau.lib.errors import BacalhauError, BadRequest, Unavailable
from bacalhau.orchestrator.core import Orchestrator

MAX_BODY = 64_000_000  # bytes; the largest job
IDLE_SECONDS = 75  # a connection without requests; clients that poll keep theirs
STOP_SECONDS = 2  # for answers under way


class HttpApi:
    """The ASGI application; `end_waits` makes every waiting answer come at once."""

    def __init__(self, app: Litestar, waits: Waits, auth: Auth) -> None:
        self.litestar = app
        self.end_waits = waits.end
        self._edge = Edge(Guard(app, auth) if is_guarded(auth) else app, server_version())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)


def make_app(orch: Orchestrator, config: Config | None = None) -> HttpApi:
    """All routes over an orchestrator. Raises BadRequest when the configuration's users or methods cannot be right."""
    config = config or Config()
    if problems := access_problems(config.api):
        raise BadRequest(problems, hint="mend the configuration and start again")
    waits = Waits()
    orchestrator = Router(
        "/orchestrator", route_handlers=[*JOB_ROUTES, *PLANNING_ROUTES, *NODE_ROUTES, *LOG_ROUTES, *EVENT_ROUTES]
    )
    api = Router("/api/v1", route_handlers=[orchestrator, *AGENT_ROUTES, *AUTH_ROUTES])
    app = Litestar(
        [api, *seed_routers(), *GATEWAY_ROUTES, *ROOT_ROUTES],
        state=State({"orchestrator": orch, "waits": waits, "config": config}),
        response_class=Answer,
        exception_handlers={BacalhauError: on_expected, HTTPException: on_framework, Exception: on_crash},
        openapi_config=openapi_config(server_version()),
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    return HttpApi(app, waits, config.api.auth)


class _Server(uvicorn.Server):
    """Signals stay with the process's owner; `ready` is set when connections are taken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()
        self._stop = Signal()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            await self._stop.wait(1)

    def stop(self) -> None:
        self.should_exit = True
        self._stop.fire()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets=sockets)
        self.stopped.set()


@asynccontextmanager
async def serve_http(app: HttpApi, host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve while the block runs; yields the URL (port 0 takes a free one). Raises Unavailable when the
    port is in use.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        loop="none",
        http=Connection,
        ws=SocketConnection,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    config.load()
    config.ssl = tls
    server = _Server(config)
    shown = f"[{host}]" if ":" in host else host
    async with background(server.serve(sockets=[listener])):
        async with asyncio.timeout(10):
            await server.ready.wait()
        try:
            yield f"{'https' if tls else 'http'}://{shown}:{listener.getsockname()[1]}"
        finally:
            app.end_waits()
            server.stop()
            async with asyncio.timeout(STOP_SECONDS + 5):
                await server.stopped.wait()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            raise Unavailable(f"port {port} is in use", hint="choose another with -c API.Port=PORT") from e
        raise Unavailable(
            f"cannot listen on {host} port {port}: {e.strerror or e}",
            hint="set -c API.Host=ADDRESS and -c API.Port=PORT",
        ) from e
    listener.setblocking(False)
    return listener
