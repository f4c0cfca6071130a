"""A container's output on its way into the two files of its execution."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from bacalhau.border.order import Order, order_path
from bacalhau.border.printed import Printed
from bacalhau.lib.errors import EngineFailure
from bacalhau.plugins.docker.api import Chunk
from bacalhau.ports.engine import EngineTask

_STDOUT, _STDERR = 1, 2
_SHORT = 4096  # bytes


def read_short(path: Path) -> str:
    """Read an output that is no more than a line or two; "" for a longer one."""
    data = path.read_bytes() if path.stat().st_size <= _SHORT else b""
    return data.decode(errors="replace")


class OutputFiles:
    """Both files, emptied when opened unless the container was there before: then what they hold is gone on with. The
    order in which the streams came is kept beside them.

    Unbuffered, so readers see all.
    """

    def __init__(self, task: EngineTask, *, resumes: bool) -> None:
        self._paths = {_STDOUT: task.stdout, _STDERR: task.stderr}
        self._limit, self._resumes = task.output_limit, resumes
        self._files: dict[int, Printed] = {}
        self._order: Order | None = None

    def __enter__(self) -> "OutputFiles":
        with self._translated():
            for stream, path in self._paths.items():
                self._files[stream] = Printed(path, self._limit, resumes=self._resumes)
            self._order = Order(order_path(self._paths[_STDOUT].parent), resumes=self._resumes)
        if self._resumes:
            self.rewind()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._translated(), ExitStack() as stack:
            for file in self._files.values():
                stack.callback(file.close)
            if self._order is not None:
                stack.callback(self._order.close)
            self._files.clear()

    async def take(self, chunks: AsyncIterator[Chunk]) -> None:
        """Write until the source ends."""
        async for stream, data in chunks:
            file = self._files.get(stream)
            if file is not None and self._order is not None:
                with self._translated():
                    file.write(data)
                    self._order.note(stream, file.end)

    def rewind(self) -> None:
        """The next source repeats what is written and adds to it; readers of the files see no step back."""
        for file in self._files.values():
            file.rewind()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise EngineFailure(
                f"cannot write the output of the task: {e.strerror or e}",
                hint="free space on the node's disk",
                retryable=True,
            ) from e
