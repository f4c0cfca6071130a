"""A file of lines that only grows, and makes room for a new one when it is large."""

import os
from pathlib import Path


class RotatedFile:
    """`path` takes lines until it has `most` bytes; then it becomes `path.1`, that one `path.2`, and so on, `kept` of
    them. Only its user can read them.
    """

    def __init__(self, path: Path, most: int, kept: int) -> None:
        self._path, self._most, self._kept = path, most, kept
        self._file = -1
        self._size = 0

    def append(self, line: bytes) -> None:
        """Write a line, which ends with a newline. Raises OSError; then the next line opens the file again."""
        try:
            if self._file < 0:
                self._open()
            if self._size and self._size + len(line) > self._most:
                self._rotate()
            self._size += os.write(self._file, line)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file. A later line opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number}"))
        if not self._kept:
            self._path.unlink()
        self._open()
