"""Previews what the inputs of a job hold, and what each partition reads of them.

The inputs of a stored job were listed before it was placed; its inventory says all. Those of a job that is not
submitted are listed by a node as for a real one, but only so many objects and for so long, and nothing is kept.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from bacalhau.lib.errors import BacalhauError, StorageFailure
from bacalhau.lib.patience import Patience
from bacalhau.models.job.inventory import InputSummary, Inventory, Shares
from bacalhau.models.job.job import InputSource, Job
from bacalhau.models.job.taken import is_pinned
from bacalhau.models.wire.messages import InputAnswer
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.inventory import Asking, Reading, confirm_empty, list_listed
from bacalhau.ports.store import InventoryDraft

SECONDS = 8.0  # for all inputs together
PAGE_SECONDS = 2.0  # that a node tries to list a page, before it says why it cannot
MOST_OBJECTS = 10_000  # of one input, and what came along with the last of them
_ONCE = Patience(seconds=0, unheard=0, attempts=0)
log = logging.getLogger(__name__)


class Preview(NamedTuple):
    """The listed inputs of a job by their number in its task, as the node `node_id` found them, and their shares: None
    where every execution reads all.
    """

    inputs: Mapping[int, InputAnswer] = {}
    shares: Shares | None = None
    node_id: str = ""

    @property
    def regions(self) -> tuple[str, ...]:
        """List the regions where the inputs lie."""
        return tuple(sorted({each.region for each in self.inputs.values() if each.region}))


async def preview_inputs(orch: Orchestrator, job: Job) -> Preview:
    """Preview the inputs that are listed before a job is placed; others are not in the preview."""
    listed = dict(list_listed(orch, job))
    if not listed or not is_pinned(job):
        return Preview()
    if job.inventory is not None and job.inventory.is_made:
        return await _read(orch, job.inventory, listed)
    try:
        return await _Listing(orch, job).preview(listed)
    except BacalhauError as e:
        log.info("the inputs of job %s cannot be listed for a preview: %s", job.name or job.id, e)
        return Preview()


async def _read(orch: Orchestrator, inventory: Inventory, listed: Mapping[int, InputSource]) -> Preview:
    if inventory.error:
        failed = {index: _answer(item, error=inventory.error, hint=inventory.hint) for index, item in listed.items()}
        return Preview(failed, None, inventory.node_id)
    root = await orch.inventories.root_of(inventory)
    if root is None:
        return Preview()
    found = {each.index: _told(listed[each.index], each) for each in root.inputs if each.index in listed}
    return Preview(found, root.shares, inventory.node_id)


class _Listing:
    """The listing of inputs within bounds."""

    def __init__(self, orch: Orchestrator, job: Job) -> None:
        self._orch, self._asking = orch, Asking(orch, job, _ONCE, PAGE_SECONDS)
        self._until = asyncio.get_running_loop().time() + SECONDS

    async def preview(self, listed: Mapping[int, InputSource]) -> Preview:
        """List what there is time for. Raises BacalhauError where no node can list."""
        if not self._asking.node_id:
            return Preview()
        answers: dict[int, InputAnswer] = {}
        async with self._orch.store.draft_inventory() as draft:
            summaries: list[InputSummary] = []
            for index, item in listed.items():
                try:
                    found, is_cut = await self._list(draft, index, item)
                except StorageFailure as e:
                    answers[index] = _answer(item, error=e.message, hint=e.hint)
                else:
                    answers[index] = replace(_told(item, found), is_cut=is_cut)
                    summaries.append(found)
            shares = await draft.summarize(summaries, self._asking.count)
        return Preview(answers, shares, self._asking.node_id)

    async def _list(self, draft: InventoryDraft, index: int, item: InputSource) -> tuple[InputSummary, bool]:
        """List an input; also tell whether there is more. Raises StorageFailure."""
        reading, is_late = Reading(self._asking, draft, index, item), True
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._until):
                while reading.places and reading.total < MOST_OBJECTS:
                    await reading.read_some()
                is_late = False
        if is_late and not reading.total:
            raise StorageFailure(f"not found out within {SECONDS:g} s")
        found = await reading.share()
        if not found.objects:
            await confirm_empty(self._asking, item)
        return found, is_late or bool(reading.places)


def _answer(item: InputSource, error: str, hint: str) -> InputAnswer:
    return InputAnswer(type=item.source.kind, target=item.target, error=error, hint=hint)


def _told(item: InputSource, found: InputSummary) -> InputAnswer:
    return InputAnswer(
        type=item.source.kind,
        target=item.target,
        objects=found.objects,
        bytes=found.bytes,
        first_keys=found.first_keys,
        identity=found.identity,
        region=found.region,
        is_shared=found.is_shared,
    )
