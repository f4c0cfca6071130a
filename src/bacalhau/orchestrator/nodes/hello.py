"""The first word of an orchestrator that has just started.

A message server of one's own starts together with the orchestrator, and then nodes connect anew and shake hands. On a
message server that somebody else runs, nodes notice nothing of the restart; they are told, so that they come back at
once and not with their next heartbeat.
"""

import logging
from functools import partial

from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import BacalhauError
from bacalhau.models.node.node import CONNECTED, NodeState
from bacalhau.models.wire.messages import HelloRequest
from bacalhau.orchestrator.core import Orchestrator

AT_ONCE = 64
log = logging.getLogger(__name__)


async def greet_nodes(orch: Orchestrator) -> None:
    """Ask every known node of this program to shake hands. Nodes of other makes would not understand it."""
    known = (node.info.node_id for node in orch.cluster.nodes() if node.native and not _is_here(node))
    await gather_bounded(AT_ONCE, [partial(_greet, orch, node_id) for node_id in known])


def _is_here(node: NodeState) -> bool:
    return node.connection_state.status == CONNECTED


async def _greet(orch: Orchestrator, node_id: str) -> None:
    try:
        await orch.bus.ask(node_id, HelloRequest())
    except BacalhauError as e:
        log.debug("node %s did not hear the hello: %s", node_id, e)
