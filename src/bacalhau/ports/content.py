"""Content-addressed blocks: where published IPFS results live."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from bacalhau.models.job.spec import SpecConfig


class ContentStore(Protocol):
    """Blocks by CID text (`Qm…`, `bafy…`). A store checks that a block hashes to its CID before it keeps it."""

    async def missing(self, cids: Iterable[str]) -> list[str]:
        """List those of `cids` that are not held."""
        ...

    async def put(self, blocks: dict[str, bytes]) -> None:
        """Keep blocks, durably when the call returns."""
        ...

    async def get(self, cid: str) -> bytes:
        """One block; NotFound when it is not held."""
        ...


class Freed(NamedTuple):
    """Blocks that were removed, and their bytes."""

    blocks: int
    bytes: int


class OwnContent(ContentStore, Protocol):
    """The content store of this very process."""

    async def forget(self, before: int, kept: Sequence[str] = ()) -> int:
        """Remove blocks that were last put, or asked after with `missing`, before `before` (Unix ns), and that are not
        below the roots `kept` (CIDs); return how many.
        """
        ...

    async def drop(self, roots: Sequence[str], kept: Sequence[str], before: int) -> Freed:
        """Remove the blocks below `roots` (CIDs) that are not below `kept`, and that nobody put or asked after since
        `before` (Unix ns).
        """
        ...

    async def renew(self, roots: Sequence[str]) -> None:
        """Count the blocks below `roots` (CIDs) that are held as asked after now."""
        ...

    async def keep_raw(self, blocks: Sequence[bytes]) -> list[str]:
        """Keep blocks of plain bytes, durably when the call returns; return their CIDs in order."""
        ...

    async def remove(self, cids: Sequence[str]) -> None:
        """Remove blocks; those that are not held are fine."""
        ...

    async def remove_raw(self, blocks: Sequence[bytes]) -> None:
        """Remove blocks of plain bytes; those that are not held are fine."""
        ...


class SpecCheck(Protocol):
    """Pure check of an engine's, source's or publisher's parameters at submission."""

    def __call__(self, spec: SpecConfig) -> list[str]:
        """All problems, naming field, value and cure; empty when the spec is good."""
        ...
