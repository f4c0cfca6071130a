"""Nodes as statements and queries."""

from bacalhau.lib.wire import decode, encode
from bacalhau.models.node.node import NodeState
from bacalhau.store.statement import Row, Statement, Transaction


def put_node(node: NodeState, secret: str) -> Statement:
    return Statement("put_node", {"id": node.info.node_id, "body": encode(node), "secret": secret})


def delete_node(node_id: str) -> Transaction:
    """Delete a node with everything that waits to be sent to it."""
    return tuple(Statement(name, {"id": node_id}) for name in ("delete_node", "delete_messages_of_node"))


def read_nodes(rows: list[Row]) -> list[NodeState]:
    return [decode(body, NodeState) for (body,) in rows]
