"""Routes of the server itself: alive, version, its own node, and where old paths went."""

from functools import cache
from typing import Any

import msgspec
from litestar import get
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.own_node import DebugResponse, NodeDebugResponse, own_node
from bacalhau.api.http.request import Ask, server_config
from bacalhau.api.v1.cache import get_cache, prune_cache
from bacalhau.api.v1.health import HEALTH_ROUTES
from bacalhau.api.v1.storage import get_storage
from bacalhau.config.keys import MASK, config_tree
from bacalhau.lib.wire import Model, always
from bacalhau.models.node.node import NodeInfo
from bacalhau.models.node.version import BuildVersion, this_version
from bacalhau.models.wire.api import AliveResponse, ConfigResponse


class LoginResponse(Model):
    """`config` is empty without an identity provider."""

    version: str = always(factory=lambda: "1.0.0")
    config: dict[str, Any] = always(factory=dict)


@cache
def server_version() -> BuildVersion:
    return this_version()


@get("/agent/alive")
async def get_alive() -> AliveResponse:
    """Answers as long as the server does."""
    return AliveResponse()


@get("/agent/version")
async def get_version() -> BuildVersion:
    """Tell the version of this build."""
    return server_version()


@get("/agent/node")
async def get_own_node(request: Ask) -> NodeInfo:
    """The node of this process; one that runs no jobs has no compute part."""
    return await own_node(request).describe()


@get("/agent/authconfig")
async def get_authconfig(request: Ask) -> LoginResponse:
    """Tell how to sign in with an identity provider."""
    told = msgspec.to_builtins(server_config(request).api.auth.oauth2)
    return LoginResponse(config={name: value for name, value in told.items() if value})


@get("/agent/config")
async def get_config(request: Ask) -> ConfigResponse:
    """The server's configuration, as a file would hold it: without what is empty; secrets are blanked."""
    return ConfigResponse(config=_filled(config_tree(server_config(request), blank=MASK)))


def _filled(tree: dict[str, Any]) -> dict[str, Any]:
    """Sections stay, even when they hold nothing."""
    return {
        name: _filled(value) if isinstance(value, dict) else value
        for name, value in tree.items()
        if value not in ("", [], None)
    }


@get("/agent/debug")
async def get_debug(request: Ask) -> DebugResponse | NodeDebugResponse:
    """Show the work that this process has in hand: the orchestrator's, or that of a node that only runs jobs."""
    return await own_node(request).debug()


@get("/", include_in_schema=False)
async def get_root() -> Redirect:
    return Redirect("/api/v1/agent/version", status_code=301)


@get("/version", include_in_schema=False)
async def get_old_version() -> Redirect:
    return Redirect("/api/v1/agent/version", status_code=301)


@get("/livez", include_in_schema=False)
async def get_livez() -> Redirect:
    return Redirect("/api/v1/agent/alive", status_code=301)


AGENT_ROUTES: list[ControllerRouterHandler] = [
    get_alive,
    get_version,
    get_own_node,
    get_authconfig,
    get_config,
    get_debug,
    get_storage,
    get_cache,
    prune_cache,
]
ROOT_ROUTES: list[ControllerRouterHandler] = [get_root, get_old_version, get_livez, *HEALTH_ROUTES]
