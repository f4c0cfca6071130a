"""Previews what the inputs of a job hold, and what each partition reads of them.

The inputs of a stored job were listed before it was placed; its inventory says all. Those of a job that is not
submitted are listed by a node as for a real one, but only so many objects and for so long, and nothing is kept.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
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
from bacalhau.orchestrator.evaluation.inventory import SEVERAL, Asking, Reading, confirm_empty, count_parts, list_listed

SECONDS = 8.0  # for all inputs together
PAGE_SECONDS = 2.0  # that a node tries to list a page, before it says why it cannot
MOST_OBJECTS = 10_000  # of one input, and what came along with the last of them
_ONCE = Patience(seconds=0, unheard=0, attempts=0)
log = logging.getLogger(__name__)


class Preview(NamedTuple):
    """The listed inputs of a job by their number in its task, as the node `node_id` found them, and their shares: None
    where every execution reads all. `auto_count` is how many partitions the inputs make, 0 where they do not decide
    that; at least so many where `count_is_cut`.
    """

    inputs: Mapping[int, InputAnswer] = {}
    shares: Shares | None = None
    node_id: str = ""
    auto_count: int = 0
    count_is_cut: bool = False

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
    return Preview(found, root.shares, inventory.node_id, inventory.count)


class _Listing:
    """The listing of inputs within bounds."""

    def __init__(self, orch: Orchestrator, job: Job) -> None:
        self._orch, self._asking = orch, Asking(orch, job, _ONCE, PAGE_SECONDS)
        self._until = asyncio.get_running_loop().time() + SECONDS
        self._answers: dict[int, InputAnswer] = {}
        self._late = set[int]()

    async def preview(self, listed: Mapping[int, InputSource]) -> Preview:
        """List what there is time for. Raises BacalhauError where no node can list."""
        if not self._asking.node_id:
            return Preview()
        asking, job = self._asking, self._asking.job
        async with self._orch.store.draft_inventory() as draft:
            readings = [Reading(asking, draft, index, item) for index, item in listed.items()]
            deciding = [each for each in readings if job.auto_count and self._part_bytes(each)]
            asking.count = SEVERAL if deciding else asking.count
            found = await self._read_all(deciding)
            counts = [self._count(each) for each in found]
            count = max(counts) if counts and all(counts) and found == deciding else 0
            asking.count = count or asking.count
            found += await self._read_all([each for each in readings if each not in deciding])
            summaries = [summary for each in found if (summary := await self._share(each))]
            shares = await draft.summarize(summaries, asking.count) if count or not deciding else None
        return Preview(self._answers, shares, asking.node_id, count, any(map(self._is_cut, deciding)))

    def _part_bytes(self, reading: Reading) -> int:
        return self._orch.checks.part_bytes(reading.item.source)

    def _count(self, reading: Reading) -> int:
        """Count the partitions that an input makes; 0 where it makes too many, which is then its answer."""
        try:
            return count_parts(reading.total, reading.bytes, self._part_bytes(reading))
        except StorageFailure as e:
            self._fail(reading, e)
            return 0

    def _is_cut(self, reading: Reading) -> bool:
        return reading.index in self._late or bool(reading.places)

    def _fail(self, reading: Reading, error: StorageFailure) -> None:
        self._answers[reading.index] = _answer(reading.item, error=error.message, hint=error.hint)

    async def _read_all(self, readings: Sequence[Reading]) -> list[Reading]:
        """List what there is time for of inputs; return those that could be listed."""
        for reading in readings:
            try:
                await self._read(reading)
            except StorageFailure as e:
                self._fail(reading, e)
        return [each for each in readings if each.index not in self._answers]

    async def _read(self, reading: Reading) -> None:
        self._late.add(reading.index)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._until):
                while reading.places and reading.total < MOST_OBJECTS:
                    await reading.read_some()
                self._late.discard(reading.index)
        if reading.index in self._late and not reading.total:
            raise StorageFailure(f"not found out within {SECONDS:g} s")

    async def _share(self, reading: Reading) -> InputSummary | None:
        """Share out what was listed of an input, and answer what it holds; None where that fails."""
        if reading.index in self._answers:
            return None
        try:
            found = await reading.share()
            if not found.objects:
                await confirm_empty(self._asking, reading.item)
        except StorageFailure as e:
            self._fail(reading, e)
            return None
        self._answers[reading.index] = replace(_told(reading.item, found), is_cut=self._is_cut(reading))
        return found


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
