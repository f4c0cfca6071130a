"""Messages until they are acknowledged, which numbers were already handled, and what nobody could handle."""

from collections.abc import Iterable

from bacalhau.models.plan import OutgoingMessage
from bacalhau.ports.store import PendingMessage
from bacalhau.store.statement import Row, Statement, Transaction

MERGE_EVERY = 64
MERGE_WINDOW = 4 * MERGE_EVERY  # numbers; those that come later than this stay ranges of their own


def insert_message(message: OutgoingMessage) -> Statement:
    return Statement("insert_message", {"node_id": message.node_id, "type": message.type, "body": message.body})


def delete_messages(seqs: Iterable[int]) -> Transaction:
    return tuple(Statement("delete_message", {"seq": seq}) for seq in seqs)


def read_messages(rows: list[Row]) -> list[PendingMessage]:
    return [PendingMessage(*row) for row in rows]


def insert_seen(node_id: str, seq: int) -> Transaction:
    """Each number becomes a range of its own; now and then neighbours are merged, so that the table stays as small as its gaps are few."""
    params = {"node_id": node_id, "seq": seq, "window": MERGE_WINDOW}
    first = Statement("insert_seen", params, 1, f"message {seq} of node {node_id} was already handled")
    if seq % MERGE_EVERY:
        return (first,)
    return (first, Statement("merge_seen", params), Statement("delete_merged_seen", params))


def insert_dead_letter(source: str, reason: str, body: bytes, now: int) -> Statement:
    return Statement("insert_dead_letter", {"source": source, "reason": reason, "body": body, "time": now})
