"""Routes of the server itself: alive, version, its own node, and where old paths went."""

from functools import cache
from typing import Any

import msgspec
from litestar import get
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.request import Ask, orchestrator, server_config
from bacalhau.config.keys import MASK, config_tree
from bacalhau.lib.wire import Model, always
from bacalhau.models.job.job import JobState
from bacalhau.models.node.node import NodeInfo, NodeState
from bacalhau.models.node.version import BuildVersion, this_version
from bacalhau.models.wire.api import AliveResponse, ConfigResponse
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.nodes.handshake import list_nodes


class LoginResponse(Model):
    """`config` is empty without an identity provider."""

    version: str = always(factory=lambda: "1.0.0")
    config: dict[str, Any] = always(factory=dict)


class ActiveJob(Model):
    id: str = always(factory=str)
    name: str = always(factory=str)
    namespace: str = always(factory=str)
    state: JobState = always(factory=JobState)


class DebugResponse(Model):
    """`active_jobs` are those that have not ended; `waiting_jobs` of them wait for a look of the scheduler.

    `unsent_messages` by node: sent, and not acknowledged yet, or waiting for the node to come back.
    """

    active_jobs: tuple[ActiveJob, ...] = always(factory=tuple)
    waiting_jobs: int = always(factory=int)
    discovered_nodes: tuple[NodeState, ...] = always(factory=tuple)
    unsent_messages: dict[str, int] = always(factory=dict)


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
    return await own_node(orchestrator(request))


async def own_node(orch: Orchestrator) -> NodeInfo:
    known = await list_nodes(orch)
    own = next((n.info for n in known if n.info.node_id == orch.node_id), None)
    return own or NodeInfo(node_id=orch.node_id, node_type="Requester", bacalhau_version=server_version())


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
async def get_debug(request: Ask) -> DebugResponse:
    """Show the work that the orchestrator has in hand."""
    orch = orchestrator(request)
    jobs = await orch.store.list_open_jobs()
    return DebugResponse(
        active_jobs=tuple(
            ActiveJob(id=job.id, name=job.name, namespace=job.namespace, state=job.state) for job in jobs
        ),
        waiting_jobs=orch.queue.waiting,
        discovered_nodes=tuple(await list_nodes(orch)),
        unsent_messages=dict(orch.outbox.unsent()),
    )


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
]
ROOT_ROUTES: list[ControllerRouterHandler] = [get_root, get_old_version, get_livez]
