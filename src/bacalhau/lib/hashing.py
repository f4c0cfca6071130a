"""Digests of files."""

import hashlib
import os
from base64 import b64encode
from collections import OrderedDict
from pathlib import Path
from threading import Lock

MOST = 100_000  # files that are remembered: some 20 MB


def hash_file(path: Path) -> bytes:
    """Return the SHA-256 of a file. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").digest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file in base64, as stores write it. Raises OSError."""
    return b64encode(hash_file(path)).decode()


class FileHashes:
    """The SHA-256 of files that are used again and again. One that is the same as before is not read again."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int, int, int], bytes] = OrderedDict()
        self._lock = Lock()

    def find(self, path: Path) -> bytes:
        """Return the SHA-256 of a file. Raises OSError."""
        status = os.stat(path)
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._known.get(key)
        if known is None:
            known = hash_file(path)
            with self._lock:
                self._known[key] = known
                if len(self._known) > MOST:
                    self._known.popitem(last=False)
        return known
