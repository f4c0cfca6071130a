"""Reading the output of an execution from its files while they grow."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bacalhau.border.printed import Stretch, missing_text, read_stretch
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
    readers = [_Reader(kind, folder / name, node.shipping.kept, tail) for kind, name in STREAMS]
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

    def __init__(self, kind: int, path: Path, limit: int, tail: bool) -> None:
        self.kind = kind
        self._path, self._limit = path, limit
        self._offset = read_stretch(path, limit, 0, 0).end if tail and path.exists() else 0

    def read(self, final: bool) -> Iterator[str]:
        """One piece at a time, whoever takes them: there may be many megabytes."""
        while self._path.exists():
            found = read_stretch(self._path, self._limit, self._offset, CHUNK)
            if missing := found.offset - self._offset:
                self._offset = found.offset
                yield missing_text(missing)
            whole = _ready(found, final)
            if not whole:
                break
            self._offset += len(whole)
            yield whole.decode("utf-8", "replace")


def _ready(found: Stretch, final: bool) -> bytes:
    """Return what of a stretch can be given out: whole lines where the rest of the last one may still come."""
    data = found.data
    is_end = found.offset + len(data) >= found.end
    lines = data[: data.rfind(b"\n") + 1]
    if is_end and (final or not lines):
        return data if final or len(data) == CHUNK else b""
    return lines or data
