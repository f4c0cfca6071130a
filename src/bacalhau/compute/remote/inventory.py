"""Fetching an execution's part of its job's inventory from the orchestrator's content store."""

import asyncio
from collections import defaultdict
from functools import partial

from bacalhau.border.names import path_fault
from bacalhau.compute.core import ComputeNode
from bacalhau.compute.remote.content import RemoteContent
from bacalhau.lib.aio import gather_bounded
from bacalhau.lib.errors import NotFound, StorageFailure
from bacalhau.lib.patience import USUAL, Effort, passing_failures
from bacalhau.models.job.inventory import Inventory, Root, Row, unpack_root, unpack_rows
from bacalhau.ports.storage import Entry

AT_ONCE = 8  # pages

Listed = dict[int, tuple[Entry, ...]]
"""The objects of an execution, by the number of the input in its task."""


async def fetch_share(node: ComputeNode, inventory: Inventory, part: int) -> Listed:
    """Fetch what a partition reads. Raises StorageFailure where the inputs could not be listed, or the inventory is
    not held any more. An orchestrator that is away, as while it starts again, is waited for.
    """
    if inventory.error:
        raise StorageFailure(inventory.error, hint=inventory.hint, retryable=False)
    blocks_of = _Blocks(node)
    try:
        root = unpack_root(await blocks_of.get(inventory.root))
        names = [page.name for page in root.pages_of(part)]
        blocks = await gather_bounded(AT_ONCE, [partial(blocks_of.get, name) for name in names])
    except NotFound as e:
        raise StorageFailure(
            "the list of this job's inputs is not held any more",
            hint="run the job again: its inputs are listed anew",
            retryable=False,
        ) from e
    return await asyncio.to_thread(_pick, root, blocks, part)


class _Blocks:
    """The orchestrator's blocks, waited for while it is away."""

    def __init__(self, node: ComputeNode) -> None:
        self._content, self._effort = RemoteContent(node.bus), Effort(USUAL, heard=True)

    async def get(self, name: str) -> bytes:
        """Fetch a block. Raises NotFound, and StorageFailure where the orchestrator stays away."""
        return await self._effort.persist(partial(self._attempt, name))

    async def _attempt(self, name: str) -> bytes:
        with passing_failures():
            return await self._content.get(name)


def _pick(root: Root, pages: list[bytes], part: int) -> Listed:
    """Pick a partition's objects out of the pages that hold them, and of the inputs that all partitions read. Blocks:
    for threads, because there may be a million.
    """
    is_shared = {each.index: each.is_shared for each in root.inputs}
    found: defaultdict[int, list[Entry]] = defaultdict(list)
    for page, block in zip(root.pages_of(part), pages, strict=True):
        rows = unpack_rows(block)
        wanted = rows if not is_shared[page.input] else [row for row in rows if row.part == part]
        found[page.input] += [_entry(row) for row in wanted]
    return {index: tuple(found[index]) for index in is_shared}


def _entry(row: Row) -> Entry:
    """Read an object that another node listed: its path must stay inside the input's folder."""
    if fault := path_fault(row.path):
        raise StorageFailure(f"the list of this job's inputs names a path that can be no file: {fault}")
    return Entry(*row[1:])
