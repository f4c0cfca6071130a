"""The older generation's routes of server and nodes: health, versions, who is there."""

import shutil
import tempfile
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.own_node import own_node
from bacalhau.api.http.request import Ask, orchestrator, read_body
from bacalhau.api.seed.envelope import read_envelope
from bacalhau.api.v1.agent import server_version
from bacalhau.lib.errors import Unauthorized
from bacalhau.models.node.node import NodeInfo
from bacalhau.models.seed.api import ApprovePayload, FreeSpace, HealthInfo, MountStatus, SeedNodeInfo, VersionRequest
from bacalhau.orchestrator.nodes.handshake import list_nodes

TEXT = "text/plain"


@post("/version", status_code=200)
async def get_build(request: Ask) -> dict[str, dict[str, str]]:
    """Tell the version of this build; each key also in lower case, as the first clients of that generation read it."""
    await read_body(request, VersionRequest)
    told: dict[str, str] = msgspec.to_builtins(server_version())
    return {"build_version_info": told | {key.lower(): value for key, value in told.items()}}


@get("/healthz")
async def get_health() -> HealthInfo:
    """Space left where the server runs. Content is not kept in a mount of its own."""
    return HealthInfo(free_space=FreeSpace(tmp=_mount(tempfile.gettempdir()), root=_mount("/")))


def _mount(path: str) -> MountStatus:
    usage = shutil.disk_usage(path)
    return MountStatus(all=usage.total, used=usage.used, free=usage.free)


@get("/livez")
async def get_alive() -> Response[str]:
    return Response("OK", media_type=TEXT)


@get("/id")
async def get_id(request: Ask) -> Response[str]:
    """The id of this node."""
    return Response(own_node(request).node_id, media_type=TEXT)


@get("/node_info")
async def get_node_info(request: Ask) -> SeedNodeInfo:
    """The node of this process."""
    own = own_node(request)
    return _shown(await own.describe(), own.approval)


@get("/peers")
async def refuse_peers() -> None:
    """There is no peer-to-peer network to tell of."""
    raise NotFoundException


@get("/version")
async def refuse_version() -> None:
    """Versions are asked for with POST."""
    raise NotFoundException


@get("/requester/nodes")
async def list_known_nodes(request: Ask) -> list[SeedNodeInfo]:
    return [_shown(node.info, node.membership) for node in await list_nodes(orchestrator(request))]


def _shown(info: NodeInfo, approval: str) -> SeedNodeInfo:
    return SeedNodeInfo(
        node_id=info.node_id,
        node_type=info.node_type,
        labels=info.labels,
        compute_node_info=info.compute_node_info,
        bacalhau_version=info.bacalhau_version,
        approval=approval,
    )


@post("/requester/debug", status_code=200)
async def debug_requester(request: Ask) -> dict[str, Any]:
    """Show the work that the orchestrator holds in memory."""
    return {"WaitingJobs": orchestrator(request).queue.waiting}


@post("/compute/debug", status_code=200)
async def debug_compute(request: Ask) -> dict[str, Any]:
    """Running executions by node."""
    return {"RunningExecutions": own_node(request).running()}


@post("/compute/approve", status_code=200)
async def approve(request: Ask) -> None:
    """Nodes of this system decide on their own, by the policies of their configuration: there is nobody to
    approve for.
    """
    payload = await read_envelope(request, ApprovePayload)
    raise Unauthorized(
        f"approval submitted by unknown client {payload.client_id}: nodes decide by their own policies, see"
        " JobAdmissionControl"
    )


SEED_AGENT_ROUTES: list[ControllerRouterHandler] = [
    get_build,
    get_health,
    get_id,
    get_node_info,
    debug_compute,
    approve,
]
"""Of every node, at the root and below the prefix alike."""
SEED_REQUESTER_ROUTES: list[ControllerRouterHandler] = [list_known_nodes, debug_requester]
"""Of an orchestrator, likewise."""
SEED_PREFIXED_ROUTES: list[ControllerRouterHandler] = [get_alive, refuse_version, refuse_peers]
SEED_ROOT_ROUTES: list[ControllerRouterHandler] = [refuse_peers]
"""`/livez` and `GET /version` at the root are today's."""
