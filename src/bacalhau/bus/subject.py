"""The NATS subjects: their names, their content, and those that a node may use.

A node owns every subject that holds its id, so the permissions are lists of its own subjects and nothing else. Answers
go to inboxes that hold the node's id too, so that even an acknowledgement cannot be forged by another node.
"""

from typing import NamedTuple

from bacalhau.border.names import is_identifier, shorten
from bacalhau.lib.errors import BadRequest

ROOT = "bacalhau.global.compute"
LOGS = "ExecutionLogs/v1"
LOG_CREDIT = "LogCredit/v1"
REQUESTS = "Requests/v1"
REGISTER = "node.management.*.RegisterNode/v1"


class Permissions(NamedTuple):
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def check_node_id(node_id: str) -> str:
    """The id itself, or BadRequest: it becomes one token of a subject."""
    if len(node_id) > 128 or "." in node_id or not is_identifier(node_id):
        hint = "Use 1 to 128 letters, digits and '_', ':', '@', '-', with a letter or digit at both ends."
        raise BadRequest(f"{shorten(node_id)!r} cannot be a node id", hint=hint)
    return node_id


def messages_to(node_id: str) -> str:
    return f"{ROOT}.{node_id}.in.msgs"


def from_node(node_id: str, lane: str) -> str:
    """`lane` is msgs, ctrl, requests or progress; `node_id` may be `*`."""
    return f"{ROOT}.{node_id}.out.{lane}"


def sender(subject: str) -> str:
    """The node that published on one of `from_node`'s subjects."""
    return subject.split(".", 4)[3]


def to_node(node_id: str, service: str) -> str:
    """`service` is LOGS, LOG_CREDIT, REQUESTS or `>`."""
    return f"node.compute.{node_id}.{service}"


def answers_from(node_id: str, token: str) -> str:
    """Name the subject on which the orchestrator waits for a node's acknowledgements; `node_id` may be `*`."""
    return f"_ACK.{node_id}.{token}"


def answers_to(node_id: str, *, native: bool) -> str:
    """The root of a node's inboxes. Nodes of other makes have their library's, which is not their own."""
    return f"_NODE.{node_id}" if native else "_INBOX"


def is_inbox_of(node_id: str, subject: str) -> bool:
    """Tell whether a node may have its answers at a subject: an inbox of its own or of its library, or none at all."""
    return not subject or subject.startswith(
        (f"{answers_to(node_id, native=True)}.", f"{answers_to('', native=False)}.")
    )


def stream_inbox(node_id: str, token: str) -> str:
    return f"_SINBOX.{node_id}.{token}"


def heartbeat_of(inbox: str) -> str:
    """Name the subject on which the consumer of log streams is asked for those that it still wants."""
    return f"_HEARTBEAT.{inbox}"


def permissions(node_id: str, *, native: bool, member: bool = True) -> Permissions:
    """List the subjects that a node may use; `native` tells our nodes from those of other makes.

    Who is no `member` yet may register and beat.
    """
    publish = (
        f"{ROOT}.{node_id}.out.>",
        f"node.management.{node_id}.>",
        f"_ACK.{node_id}.>",
        f"_SINBOX.{node_id}.>",
        f"_HEARTBEAT._SINBOX.{node_id}.>",
    )
    subscribe = (messages_to(node_id), to_node(node_id, ">"), f"{answers_to(node_id, native=native)}.>")
    return Permissions(publish if member else (from_node(node_id, "ctrl"), f"node.management.{node_id}.>"), subscribe)
