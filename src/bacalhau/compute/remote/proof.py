"""Hands the proof of an execution to the orchestrator, page by page, so that none is in memory as a whole."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from functools import partial

from msgspec.structs import replace

from bacalhau.compute.core import ComputeNode
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.lib.patience import Effort, Patience, passing_failures
from bacalhau.models.execution.execution import Execution
from bacalhau.models.execution.proof import (
    FileRow,
    Proof,
    Root,
    cut_pages,
    digest_files,
    digest_sources,
    pack_files,
    pack_root,
)
from bacalhau.models.wire.messages import KeepPageRequest, KeepPageResponse

AT_ONCE = 4  # pages
SECONDS = 30.0  # for one page
PATIENCE = Patience(seconds=60.0)
log = logging.getLogger(__name__)


async def hand_in(
    node: ComputeNode, execution: Execution, root: Root, read: Iterable[FileRow], written: Iterable[FileRow]
) -> Proof:
    """Have the orchestrator keep a proof. One that cannot be kept is a proof with an error: the work is done."""
    sending = _Sending(node, execution)
    try:
        inputs, outputs = await sending.send_all(read), await sending.send_all(written)
        whole = replace(root, input_pages=inputs, output_pages=outputs)
        return Proof(
            root=await sending.send(pack_root(whole)),
            inputs=await asyncio.to_thread(digest_files, read),
            sources=await asyncio.to_thread(digest_sources, read),
            outputs=await asyncio.to_thread(digest_files, written),
        )
    except (BacalhauError, OSError, ValueError) as e:
        log.warning("execution %s: its proof could not be handed in: %s", execution.id, e)
        return Proof(error=f"the node could not hand it in: {e}")


class _Sending:
    """The way of one execution's pages."""

    def __init__(self, node: ComputeNode, execution: Execution) -> None:
        self._node, self._execution = node, execution
        self._effort = Effort(PATIENCE, heard=True)

    async def send_all(self, rows: Iterable[FileRow]) -> tuple[str, ...]:
        """Send files; return the names of their pages. Raises BacalhauError, and OSError and ValueError where the rows
        cannot be read.
        """
        pages, names = _packed(rows), list[str]()
        while some := await asyncio.to_thread(_take, pages):
            names += await gather_bounded(AT_ONCE, [partial(self.send, page) for page in some])
        return tuple(names)

    async def send(self, page: bytes) -> str:
        """Send one page; return its name. Raises BacalhauError."""
        return await self._effort.persist(partial(self._attempt, page))

    async def _attempt(self, page: bytes) -> str:
        request = KeepPageRequest(execution_id=self._execution.id, job_id=self._execution.job_id, page=page)
        with passing_failures():
            answer = await self._node.bus.request(request, control=False, seconds=SECONDS)
        if not isinstance(answer, KeepPageResponse):
            raise Unavailable(f"the orchestrator answered a page with {type(answer).__name__}")
        return answer.name


def _packed(rows: Iterable[FileRow]) -> Iterator[bytes]:
    return (pack_files(page) for page in cut_pages(rows))


def _take(pages: Iterator[bytes]) -> list[bytes]:
    return [page for _, page in zip(range(AT_ONCE), pages, strict=False)]
