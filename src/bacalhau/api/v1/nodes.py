"""Routes of nodes: who is there, what it offers, how much of it is free, and what all of them do at the moment."""

from collections.abc import Callable
from typing import Any

from litestar import get, put
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.errors import refused
from bacalhau.api.http.request import Ask, named_node, orchestrator, read_body
from bacalhau.api.v1.query import ListNodes, Query, ShowActivity, read_labels, read_query
from bacalhau.models.job.selector import meets_labels
from bacalhau.models.node.node import NodeState
from bacalhau.models.wire.activity import ActivityResponse
from bacalhau.models.wire.api import GetNodeResponse, ListNodesResponse, PutNodeRequest, PutNodeResponse
from bacalhau.orchestrator.jobs.activity import find_activity
from bacalhau.orchestrator.nodes import handshake as nodes
from bacalhau.orchestrator.nodes.membership import NodeChange, change_node

_USUALLY_SHOWN = 100
# Who has most comes first where a capacity is asked for.
_SORTS: dict[str, Callable[[NodeState], Any]] = {
    "id": lambda n: n.info.node_id,
    "type": lambda n: n.info.node_type,
    "available_cpu": lambda n: -n.info.compute.available_capacity.cpu,
    "available_memory": lambda n: -n.info.compute.available_capacity.memory,
    "available_disk": lambda n: -n.info.compute.available_capacity.disk,
    "available_gpu": lambda n: -n.info.compute.available_capacity.gpu,
    "approval": lambda n: n.membership,
    "status": lambda n: n.connection_state.status,
}


@get("/nodes", query=ListNodes)
async def list_nodes(request: Ask) -> ListNodesResponse:
    """All nodes that ever joined, or those that match labels, approval and status."""
    query = read_query(request.scope["query_string"], ListNodes)
    selector = read_labels(query.labels)
    known = await nodes.list_nodes(orchestrator(request))
    found = [n for n in known if _is_asked_for(n, query) and meets_labels(selector, n.info.labels or {})]
    found.sort(key=_SORTS[query.order_by], reverse=query.reverse)
    return ListNodesResponse(nodes=tuple(found[: query.limit or None]))


def _is_asked_for(node: NodeState, query: ListNodes) -> bool:
    return query.filter_approval in (None, node.membership) and query.filter_status in (
        None,
        node.connection_state.status,
    )


@get("/activity", query=ShowActivity)
async def get_activity(request: Ask) -> ActivityResponse:
    """Unfinished jobs by state, the queue by reason, and the newest executions that nodes have."""
    query = read_query(request.scope["query_string"], ShowActivity)
    return find_activity(orchestrator(request), query.namespace, query.limit or _USUALLY_SHOWN)


@get("/nodes/{node_id:str}", query=Query)
async def get_node(request: Ask, node_id: FromPath[str]) -> GetNodeResponse:
    """A node by its id or a unique beginning of it."""
    return GetNodeResponse(node=await nodes.get_node(orchestrator(request), named_node(node_id)))


@put("/nodes/{node_id:str}", query=Query, body=PutNodeRequest)
async def put_node(request: Ask, node_id: FromPath[str]) -> PutNodeResponse:
    """Approve, reject or delete a node; cordon, uncordon or drain it; change its labels."""
    asked, unknown = await read_body(request, PutNodeRequest, nulls=True)
    if unknown:
        raise refused(*(f"unknown field '{path}'" for path in unknown))
    change = NodeChange(asked.action or "", asked.message or "", asked.deadline, asked.labels)
    await change_node(orchestrator(request), named_node(node_id), change)
    return PutNodeResponse(success=True)


NODE_ROUTES: list[ControllerRouterHandler] = [get_activity, list_nodes, get_node, put_node]
