"""Reading the output of an execution from its files while they grow."""

import asyncio
import codecs
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

from bacalhau.border.order import Span, order_path, read_spans
from bacalhau.border.printed import missing_text, read_stretch
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
    reader = _Reader(folder, node.shipping.kept)
    if tail:
        reader.skip()
    while True:
        is_live = execution_id in node.running
        for stream, text in reader.read(final=not (is_live and follow)):
            yield stream, text
        if not (is_live and follow):
            return
        await asyncio.sleep(POLL)


class _Reader:
    """Gives out both streams in the order in which they came: whole characters, and while the files grow whole lines
    at their end.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._paths = {stream: folder / name for stream, name in STREAMS}
        self._places = dict.fromkeys(self._paths, 0)
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in self._paths}

    def skip(self) -> None:
        """Leave out all that was printed up to now."""
        self._places = self._sizes()

    def read(self, *, final: bool) -> Iterator[tuple[int, str]]:
        """One piece at a time, whoever takes them: there may be many megabytes."""
        sizes = self._sizes()
        for span in read_spans(order_path(self._folder), [*self._places.values()], [*sizes.values()]):
            is_last = span.end == sizes[span.stream]
            yield from ((span.stream, text) for text in self._texts(span, may_grow=is_last and not final) if text)
        if final:
            yield from ((s, rest) for s, decoder in self._decoders.items() if (rest := decoder.decode(b"", True)))

    def _texts(self, span: Span, *, may_grow: bool) -> Iterator[str]:
        decoder = self._decoders[span.stream]
        while self._places[span.stream] < span.end:
            place = self._places[span.stream]
            found = read_stretch(self._paths[span.stream], self._limit, place, min(CHUNK, span.end - place))
            if found.offset > place:
                self._places[span.stream] = found.offset
                yield decoder.decode(b"", True) + missing_text(found.offset - place)
                continue
            data = found.data
            if may_grow and place + len(data) >= span.end:
                data = data[: data.rfind(b"\n") + 1] or (data if len(data) == CHUNK else b"")
            if not data:
                return
            self._places[span.stream] += len(data)
            yield decoder.decode(data)

    def _sizes(self) -> dict[int, int]:
        sizes = dict.fromkeys(self._paths, 0)
        for stream, path in self._paths.items():
            with suppress(FileNotFoundError):
                sizes[stream] = read_stretch(path, self._limit, 0, 0).end
        return sizes
