"""The HTTP server: routes put together, and uvicorn running them inside our own event loop."""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from bacalhau.api.access.audit import Audit, open_audit
from bacalhau.api.access.guard import Guard
from bacalhau.api.http.answer import Answer
from bacalhau.api.http.connection import Connection, SocketConnection
from bacalhau.api.http.edge import ASGIApp, Edge, Receive, Scope, Send
from bacalhau.api.http.errors import NO_SUCH_PLACE, on_crash, on_expected, on_framework, only_runs_jobs
from bacalhau.api.http.metrics import Metrics
from bacalhau.api.http.origin import Door
from bacalhau.api.http.own_node import LoneNode, OrchestratorNode, OwnNode
from bacalhau.api.http.readiness import Readiness, list_node_parts, list_orchestrator_parts
from bacalhau.api.http.request import Waits
from bacalhau.api.seed.routes import seed_routers
from bacalhau.api.v1.agent import AGENT_ROUTES, ROOT_ROUTES, server_version
from bacalhau.api.v1.auth import AUTH_ROUTES
from bacalhau.api.v1.events import EVENT_ROUTES
from bacalhau.api.v1.ipfs import GATEWAY_ROUTES
from bacalhau.api.v1.jobs import JOB_ROUTES
from bacalhau.api.v1.logs import LOG_ROUTES
from bacalhau.api.v1.nodes import NODE_ROUTES
from bacalhau.api.v1.openapi import openapi_config
from bacalhau.api.v1.planning import PLANNING_ROUTES
from bacalhau.api.v1.provenance import PROVENANCE_ROUTES
from bacalhau.compute.core import ComputeNode
from bacalhau.config.access import API, access_problems, is_guarded
from bacalhau.config.schema import Config
from bacalhau.lib.aio import Signal, background
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BacalhauError, BadRequest, Unavailable
from bacalhau.lib.network import bare_host, host_in_url
from bacalhau.orchestrator.core import Orchestrator

IDLE_SECONDS = 75  # a connection without requests; clients that poll keep theirs
STOP_SECONDS = 2  # for answers under way


class PortInUse(Unavailable):
    """Another program listens on the port."""


class HttpApi:
    """The ASGI application; `end_waits` makes every waiting answer come at once."""

    def __init__(self, routes: Sequence[ControllerRouterHandler], own: OwnNode, config: Config, state: State) -> None:
        check_access(config.api)
        waits = Waits()
        readiness = Readiness(state.pop("parts"), is_open=not is_guarded(config.api.auth))
        self.metrics: Metrics = state["metrics"]
        state.update({"own_node": own, "waits": waits, "config": config, "readiness": readiness})
        self.litestar = Litestar(
            [*routes, *ROOT_ROUTES],
            state=state,
            response_class=Answer,
            exception_handlers={BacalhauError: on_expected, HTTPException: on_framework, Exception: on_crash},
            openapi_config=openapi_config(server_version()),
            logging_config=None,
        )
        self.end_waits = waits.end
        inner: ASGIApp = Guard(self.litestar, config.api.auth) if is_guarded(config.api.auth) else self.litestar
        self.audit = open_audit(config)
        inner = Audit(inner, self.audit) if self.audit else inner
        self._edge = Edge(inner, server_version(), state.absent, Door(config.api), self.metrics.traffic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)


def check_access(api: API) -> None:
    """Check who may use the API. Raises BadRequest when the users or methods of the configuration cannot be right."""
    if problems := access_problems(api):
        raise BadRequest(problems, hint="mend the configuration and start again")


def make_app(orch: Orchestrator, config: Config | None = None, node: ComputeNode | None = None) -> HttpApi:
    """Make the API of a process with an orchestrator: all routes. `node` is the one of the same process. Raises
    BadRequest as `check_access` does.
    """
    orchestrator = Router(
        "/orchestrator",
        route_handlers=[*JOB_ROUTES, *PLANNING_ROUTES, *PROVENANCE_ROUTES, *NODE_ROUTES, *LOG_ROUTES, *EVENT_ROUTES],
    )
    api = Router("/api/v1", route_handlers=[orchestrator, *AGENT_ROUTES, *AUTH_ROUTES])
    parts = [*list_orchestrator_parts(orch), *(list_node_parts(node) if node else ())]
    return HttpApi(
        [api, *seed_routers(has_jobs=True), *GATEWAY_ROUTES],
        OrchestratorNode(orch),
        config or Config(),
        State(
            {
                "orchestrator": orch,
                "absent": NO_SUCH_PLACE,
                "cache": node.cache if node else None,
                "parts": parts,
                "metrics": Metrics(orch, node),
            }
        ),
    )


def make_node_app(node: ComputeNode, orchestrators: str, config: Config) -> HttpApi:
    """Make the API of a process that only runs jobs: the routes about the node itself, and one answer to all others.

    `orchestrators` are the addresses at which the node joins, with commas. Raises BadRequest as `check_access` does.
    """
    return HttpApi(
        [Router("/api/v1", route_handlers=[*AGENT_ROUTES, *AUTH_ROUTES]), *seed_routers(has_jobs=False)],
        LoneNode(node, orchestrators),
        config,
        State(
            {
                "absent": only_runs_jobs(node.node_id, without_credentials(orchestrators)),
                "cache": node.cache,
                "parts": list_node_parts(node),
                "metrics": Metrics(None, node),
            }
        ),
    )


class _Server(uvicorn.Server):
    """Signals stay with the process's owner; `ready` is set when connections are taken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()
        self._stop = Signal()

    @contextmanager
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
    with listen(host, port) as listener:
        async with serve_on(app, listener, tls) as url:
            yield url


@asynccontextmanager
async def serve_on(app: HttpApi, listener: socket.socket, tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    """Serve a port that is listened on while the block runs; yields the URL."""
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
    host, port = listener.getsockname()[:2]
    async with background(server.serve(sockets=[listener]), app.metrics.lag.measure_forever()):
        async with asyncio.timeout(10):
            await server.ready.wait()
        try:
            yield f"{'https' if tls else 'http'}://{host_in_url(host)}:{port}"
        finally:
            app.end_waits()
            server.stop()
            async with asyncio.timeout(STOP_SECONDS + 5):
                await server.stopped.wait()
            if app.audit:
                app.audit.close()


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port; requests wait until it is served. Raises PortInUse, Unavailable."""
    host = bare_host(host)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server((host, port), family=family, backlog=2048, dualstack_ipv6=both)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} is in use", hint="choose another with -c API.Port=PORT") from e
        raise Unavailable(
            f"cannot listen on {host} port {port}: {e.strerror or e}",
            hint=(
                "set -c API.Host=ADDRESS and -c API.Port=PORT to where this process shall listen; the server that"
                " clients ask can be kept in a profile instead (`bacalhau profile save`)"
            ),
        ) from e
    listener.setblocking(False)
    return listener
