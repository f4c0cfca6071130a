"""Digests of files."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

_BUFFER_BYTES = 256 << 10  # small enough for the processor's cache, where a read leaves it

Listener = Callable[[str, int, bytes], None]
"""The listener of whoever hashes files while they travel: told of the path, the size in bytes and the SHA-256 of each,
from any thread.
"""


class Hash(Protocol):
    """A digest in the making."""

    def update(self, data: bytes | memoryview, /) -> None: ...


def hash_file(path: Path) -> bytes:
    """Return the SHA-256 of a file. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").digest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file in base64, as stores write it. Raises OSError."""
    return b64encode(hash_file(path)).decode()


def hashed(pieces: Iterable[bytes], path: str, tell: Listener | None) -> Iterator[bytes]:
    """Pass on the pieces of a file, and tell its size and SHA-256 after the last; nothing is hashed for nobody."""
    if tell is None:
        yield from pieces
        return
    made, size = hashlib.sha256(), 0
    for piece in pieces:
        made.update(piece)
        size += len(piece)
        yield piece
    tell(path, size, made.digest())


def hash_stretch(made: Hash, path: Path, start: int, end: int) -> None:
    """Add the bytes [start, end) of a file to a digest. Raises OSError."""
    view = memoryview(bytearray(_BUFFER_BYTES))
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while start < end and (got := file.readinto(view[: end - start])):
            made.update(view[:got])
            start += got
