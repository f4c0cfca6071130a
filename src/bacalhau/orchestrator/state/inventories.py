"""Jobs whose inputs are to be listed before they are placed, and the pages of the inventories in the content store.

The list of jobs is kept in memory: a new process evaluates every open job, and finds out again what is missing.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from bacalhau.lib.aio import Signal
from bacalhau.lib.errors import BacalhauError, NotFound
from bacalhau.models.job.inventory import (
    InputSummary,
    Inventory,
    PageName,
    Root,
    Shares,
    pack_root,
    pack_rows,
    unpack_root,
)
from bacalhau.ports.content import OwnContent
from bacalhau.ports.store import DraftPage

AT_ONCE = 16  # pages that are kept with one sync of the disk


class Progressing(NamedTuple):
    """The progress of a listing: the node that lists, the objects so far, and what it waits for just now."""

    node_id: str = ""
    objects: int = 0
    waits_for: str = ""


class Inventories:
    """Jobs in the order in which they came. One that is being listed (`listing`) is not taken a second time."""

    def __init__(self, content: OwnContent) -> None:
        self.signal = Signal()
        self._content = content
        self._waiting: dict[str, None] = {}
        self.listing: dict[str, Progressing] = {}

    def put(self, job_id: str) -> None:
        """Have the inputs of a job listed."""
        if job_id not in self.listing:
            self._waiting[job_id] = None
            self.signal.fire()

    def take(self) -> str:
        """Take the job that waits longest; "" where none does."""
        job_id = next(iter(self._waiting), "")
        if job_id:
            del self._waiting[job_id]
            self.listing[job_id] = Progressing()
        return job_id

    def done(self, job_id: str) -> None:
        """Note that the listing of a job is over, whatever came of it."""
        self.listing.pop(job_id, None)

    async def keep(
        self,
        job_id: str,
        inputs: Sequence[InputSummary],
        pages: AsyncIterator[DraftPage],
        shares: Shares | None = None,
    ) -> str:
        """Keep the pages of an inventory, durably on return; return the name of its root. Raises StorageFailure."""
        named: list[PageName] = []
        held: list[DraftPage] = []
        async for page in pages:
            held.append(page)
            if len(held) == AT_ONCE:
                named += await self._keep_some(job_id, held)
                held = []
        named += await self._keep_some(job_id, held)
        root = pack_root(Root(inputs=tuple(inputs), pages=tuple(named), shares=shares), job_id)
        return (await self._content.keep_raw([root]))[0]

    async def _keep_some(self, job_id: str, pages: Sequence[DraftPage]) -> list[PageName]:
        # Off the event loop: sixteen pages take a tenth of a second.
        blocks = await asyncio.to_thread(lambda: [pack_rows(page.rows, job_id) for page in pages])
        names = await self._content.keep_raw(blocks)
        return [
            PageName(page.input, page.rows[0].part, page.rows[-1].part, name)
            for page, name in zip(pages, names, strict=True)
        ]

    async def root_of(self, inventory: Inventory) -> Root | None:
        """Read the root of an inventory; None where it is not held any more."""
        with suppress(NotFound):
            return unpack_root(await self._content.get(inventory.root)) if inventory.root else None
        return None

    async def names_of(self, root: str) -> list[str]:
        """Name all blocks of an inventory, the root last; none where it is not held any more."""
        with suppress(NotFound):
            return [*(page.name for page in unpack_root(await self._content.get(root)).pages), root]
        return []

    async def remove(self, roots: Sequence[str]) -> None:
        """Remove inventories; those that are not held are fine. Raises StorageFailure."""
        for root in roots:
            with suppress(BacalhauError):  # a damaged root is left to the store's own retention
                await self._content.remove(await self.names_of(root))

    async def touch(self, roots: Sequence[str]) -> None:
        """Keep the content store from forgetting inventories that are still needed."""
        for root in roots:
            await self._content.missing(await self.names_of(root))
