"""A container's output on its way into the two files of its execution."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType

from bacalhau.lib.errors import EngineFailure
from bacalhau.plugins.docker.api import Chunk

_STDOUT, _STDERR = 1, 2


class OutputFiles:
    """Both files, emptied when opened: every source of output starts at the beginning. Unbuffered, so
    readers see all.
    """

    def __init__(self, stdout: Path, stderr: Path) -> None:
        self._paths = {_STDOUT: stdout, _STDERR: stderr}
        self._fds: dict[int, int] = {}

    def __enter__(self) -> "OutputFiles":
        try:
            for stream, path in self._paths.items():
                os.makedirs(path.parent, exist_ok=True)
                self._fds[stream] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as e:
            self._close()
            raise EngineFailure(f"cannot write the output of the task: {e}", retryable=True) from e
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def take(self, chunks: AsyncIterator[Chunk]) -> None:
        """Write until the source ends."""
        async for stream, data in chunks:
            fd = self._fds.get(stream)
            if fd is not None:
                self._write(fd, data)

    def rewind(self) -> None:
        """The next source repeats what is written and adds to it; readers of the files see no step back."""
        for fd in self._fds.values():
            os.lseek(fd, 0, os.SEEK_SET)

    def _write(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(fd, view) :]
        except OSError as e:
            raise EngineFailure(
                f"cannot write the output of the task: {e.strerror}",
                hint="free space on the node's disk",
                retryable=True,
            ) from e

    def _close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
