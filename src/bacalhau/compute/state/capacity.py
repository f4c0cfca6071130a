"""The room of this node: all of it, the part in use and by whom, and who waits; first come, first served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from bacalhau.lib.aio import Signal
from bacalhau.models.job.resources import GPU, Resources


class Capacity:
    """Bookkeeping of requests, not of real use.

    `total` is what the node offers to jobs, with each GPU by itself where they are known. At most `executions` run at
    once; 0 is no limit.
    """

    def __init__(self, total: Resources, executions: int = 0) -> None:
        self.total = total
        self.executions = executions
        self.used = Resources()
        self.queued = Resources()
        self._held: dict[str, Resources] = {}
        self._signal = Signal()
        self._line: list[object] = []

    @property
    def free(self) -> Resources:
        left = self.total.minus(self.used)
        return replace(left, gpus=self._free_gpus()) if self.total.gpus else left

    def adopt(self, execution_id: str, need: Resources, gpus: tuple[GPU, ...]) -> None:
        """Take over what an earlier process gave to a task that may still run: it does not wait again, and keeps its
        GPUs.
        """
        self._take(execution_id, replace(need, gpus=gpus))

    @asynccontextmanager
    async def hold(self, execution_id: str, need: Resources) -> AsyncIterator[Resources]:
        """Wait for room, then keep it while the block runs: what was asked for, and which GPUs."""
        if execution_id not in self._held:
            await self._wait_for_room(need)
            self._take(execution_id, replace(need, gpus=self._free_gpus()[: need.gpu]) if need.gpu else need)
        try:
            yield self._held[execution_id]
        finally:
            self.used = self.used.minus(self._held.pop(execution_id))
            self._signal.fire()

    def _take(self, execution_id: str, grant: Resources) -> None:
        self._held[execution_id] = grant
        self.used = self.used.plus(grant)

    def _free_gpus(self) -> tuple[GPU, ...]:
        taken = {gpu for grant in self._held.values() for gpu in grant.gpus}
        return tuple(gpu for gpu in self.total.gpus if gpu not in taken)

    def _has_room(self, need: Resources) -> bool:
        is_full = self.executions > 0 and len(self._held) >= self.executions
        return not is_full and self.free.holds(need)

    async def _wait_for_room(self, need: Resources) -> None:
        if not self._line and self._has_room(need):
            return
        ticket = object()
        self._line.append(ticket)
        self.queued = self.queued.plus(need)
        try:
            while self._line[0] is not ticket or not self._has_room(need):
                await self._signal.wait(60)
        finally:
            self._line.remove(ticket)
            self.queued = self.queued.minus(need)
            self._signal.fire()
