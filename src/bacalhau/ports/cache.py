"""The port of the books of a node's cache: what is in it, how large it is, and when it was used last."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from bacalhau.ports.figures import Watched


class Kept(NamedTuple):
    """Bytes in the cache: their file is named `digest`; `name` is for people, `size` in bytes, `used` Unix ns.

    `sha256` is that of the bytes in hex, "" where nobody has hashed them yet.
    """

    digest: str
    name: str
    size: int
    used: int
    sha256: str = ""


class CacheBooks(Watched, Protocol):
    """Every method raises Unavailable where the disk does not take or give what is written."""

    async def put(self, kept: Sequence[Kept], boot: str) -> None:
        """Write down files that are new. They are safe from a loss of power when `settle` was called later; until
        then the record says in which run of the machine (`boot`) they were written.
        """
        ...

    async def touch(self, digests: Sequence[str], now: int) -> None:
        """Note that files are used."""
        ...

    async def find_hashes(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Return the SHA-256 of the bytes of files, as far as they are known, by the names of the files."""
        ...

    async def put_hashes(self, hashes: Mapping[str, bytes]) -> None:
        """Note the SHA-256 of the bytes of files."""
        ...

    async def drop(self, digests: Sequence[str]) -> None:
        """Forget files."""
        ...

    async def settle(self) -> None:
        """Note that all files are on the disk."""
        ...

    async def drop_unsettled(self, boot: str) -> None:
        """Forget the files that an earlier run of the machine may have lost."""
        ...

    async def has_unsettled(self) -> bool:
        """Tell whether `settle` has anything to note."""
        ...

    async def list_oldest(self, after: Kept | None, limit: int) -> list[Kept]:
        """List files, those first that were used the longest time ago, from the place of `after` on."""
        ...

    async def list_sizes(self) -> dict[str, int]:
        """Return the size of each file by its digest."""
        ...

    async def measure(self, beginning: str) -> int:
        """Return the bytes of all files whose names begin so."""
        ...
