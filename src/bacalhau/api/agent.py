"""Routes of the server itself: alive, version, its own node, and where old paths went."""

from functools import cache

from litestar import get
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from bacalhau.api.errors import NotSupported
from bacalhau.api.request import Ask, orchestrator
from bacalhau.lib.wire import Model, always
from bacalhau.models.api import AliveResponse, ErrorBody
from bacalhau.models.node import NodeInfo
from bacalhau.models.version import BuildVersion, this_version
from bacalhau.orchestrator.nodes import list_nodes
from bacalhau.orchestrator.service import Orchestrator


class LoginConfig(Model):
    """No single sign-on is offered."""


class LoginResponse(Model):
    version: str = always(factory=lambda: "1.0.0")
    config: LoginConfig = always(factory=LoginConfig)


@cache
def server_version() -> BuildVersion:
    return this_version()


@get("/agent/alive")
async def get_alive() -> AliveResponse:
    """Answers as long as the server does."""
    return AliveResponse()


@get("/agent/version")
async def get_version() -> BuildVersion:
    """What this build calls itself."""
    return server_version()


@get("/agent/node")
async def get_own_node(request: Ask) -> NodeInfo:
    """The node of this process; one that runs no jobs has no compute part."""
    return await own_node(orchestrator(request))


async def own_node(orch: Orchestrator) -> NodeInfo:
    known = await list_nodes(orch)
    own = next((n.info for n in known if n.info.node_id == orch.node_id), None)
    return own or NodeInfo(node_id=orch.node_id, node_type="Requester", bacalhau_version=server_version())


@get("/agent/authconfig")
async def get_authconfig() -> LoginResponse:
    """How to sign in with an identity provider."""
    return LoginResponse()


@get("/agent/config", status_code=501)
async def get_config() -> ErrorBody:
    """Not supported yet."""
    raise NotSupported("reading the server's configuration is not supported yet", hint="run `bacalhau config list` where the server runs")


@get("/", include_in_schema=False)
async def get_root() -> Redirect:
    return Redirect("/api/v1/agent/version", status_code=301)


@get("/version", include_in_schema=False)
async def get_old_version() -> Redirect:
    return Redirect("/api/v1/agent/version", status_code=301)


@get("/livez", include_in_schema=False)
async def get_livez() -> Redirect:
    return Redirect("/api/v1/agent/alive", status_code=301)


AGENT_ROUTES: list[ControllerRouterHandler] = [get_alive, get_version, get_own_node, get_authconfig, get_config]
ROOT_ROUTES: list[ControllerRouterHandler] = [get_root, get_old_version, get_livez]
