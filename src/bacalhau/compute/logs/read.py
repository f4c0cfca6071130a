"""Reading the output of an execution from its files while they grow."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bacalhau.compute.core import ComputeNode
from bacalhau.lib.errors import NotFound

POLL = 0.1  # seconds between looks at a file that is still being written
CHUNK = 48 * 1024
STREAMS = ((1, "stdout"), (2, "stderr"))


async def read_logs(node: ComputeNode, execution_id: str, tail: bool, follow: bool) -> AsyncIterator[tuple[int, str]]:
    """(1 stdout | 2 stderr, text). `tail` starts at the end; `follow` goes on until the execution is over."""
    folder = node.execution_folder(execution_id) / "result"
    if execution_id not in node.running and not folder.exists():
        raise NotFound(f"this node has no logs of execution {execution_id}")
    readers = [_Reader(kind, folder / name, tail) for kind, name in STREAMS]
    while True:
        is_live = execution_id in node.running
        for reader in readers:
            for text in reader.read(final=not (is_live and follow)):
                yield reader.kind, text
        if not (is_live and follow):
            return
        await asyncio.sleep(POLL)


class _Reader:
    """Gives out whole lines while the file grows, so that characters and lines stay whole."""

    def __init__(self, kind: int, path: Path, tail: bool) -> None:
        self.kind = kind
        self._path = path
        self._offset = path.stat().st_size if tail and path.exists() else 0

    def read(self, final: bool) -> Iterator[str]:
        """One piece at a time, whoever takes them: there may be gigabytes."""
        while self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(CHUNK)
            end = data.rfind(b"\n") + 1
            whole = data if final and len(data) < CHUNK else data[: end or (len(data) if len(data) == CHUNK else 0)]
            if not whole:
                break
            self._offset += len(whole)
            yield whole.decode("utf-8", "replace")
