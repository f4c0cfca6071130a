"""The partitions that are likely to begin next on nodes that are full, and what nodes were told of that.

A node is told only what will come true: partitions of a job are shared out where each node that could run the job gets
one, and a node that has room is then given its own. So whatever node is free first, no traffic is for nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

MOST = 2  # jobs that a node is told of


class Piece(NamedTuple):
    """A partition of one version of a job."""

    job_id: str
    version: int
    partition: int


NONE: frozenset[Piece] = frozenset()


class Foretold:
    """The pieces of each node. They stay with their node as long as that is right, so nothing is brought twice.

    `told` is what each node heard last, and the connection on which it did.
    """

    def __init__(self) -> None:
        self.told: dict[str, tuple[str, frozenset[Piece]]] = {}
        self._pieces: dict[str, frozenset[Piece]] = {}
        self._by_job: dict[tuple[str, int], dict[str, int]] = {}

    @property
    def nodes(self) -> Collection[str]:
        """The nodes for which something is foretold."""
        return self._pieces.keys()

    def pieces(self, node_id: str) -> frozenset[Piece]:
        """Return the pieces of a node."""
        return self._pieces.get(node_id, NONE)

    def partitions(self, job_id: str, version: int) -> Mapping[str, int]:
        """Return the partition of a job that each node was given."""
        return self._by_job.get((job_id, version), {})

    def replace(self, coming: Mapping[str, Collection[Piece]], begun: Mapping[str, Collection[Piece]]) -> None:
        """Forget what was foretold, and note what is `coming` on each node, and what has `begun` there since it was."""
        self._pieces = {
            node_id: own
            for node_id in {*coming, *begun}
            if (own := frozenset((*coming.get(node_id, ()), *begun.get(node_id, ()))))
        }
        self._by_job = {}
        for node_id, pieces in coming.items():
            for piece in pieces:
                self._by_job.setdefault((piece.job_id, piece.version), {})[node_id] = piece.partition


def share_out(nodes: Sequence[str], before: Mapping[str, int], opened: Iterable[int]) -> dict[str, int]:
    """Give each node a partition: the one that it was given `before`, else the first of `opened` that nobody has.

    Where these are too few, no node gets another than before.
    """
    kept = {node_id: before[node_id] for node_id in nodes if node_id in before}
    others = [node_id for node_id in nodes if node_id not in kept]
    taken = set(kept.values())
    free = [index for index in opened if index not in taken]
    return kept | dict(zip(others, free, strict=False)) if len(free) >= len(others) else kept
