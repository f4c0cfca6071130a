"""Messages until they are acknowledged, and what nobody could handle."""

from collections.abc import Iterable

from bacalhau.lib.wire import encode
from bacalhau.models.execution.plan import OutgoingMessage
from bacalhau.ports.store import PendingMessage
from bacalhau.store.statement import Row, Statement, Transaction


def insert_message(message: OutgoingMessage) -> Statement:
    return Statement("insert_message", {"node_id": message.node_id, "type": message.type, "body": message.body})


def delete_messages(seqs: Iterable[int]) -> Transaction:
    numbers = list(seqs)
    return (Statement("delete_messages", {"seqs": encode(numbers).decode()}),) if numbers else ()


def read_messages(rows: list[Row]) -> list[PendingMessage]:
    return [PendingMessage(*row) for row in rows]


def insert_dead_letter(source: str, reason: str, body: bytes, now: int) -> Statement:
    return Statement("insert_dead_letter", {"source": source, "reason": reason, "body": body, "time": now})
