"""What this node has for jobs, what is in use, and who waits: first come, first served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bacalhau.lib.aio import Signal
from bacalhau.models.resources import Resources


class Capacity:
    """Bookkeeping of requests, not of real use. `total` is what the node offers to jobs."""

    def __init__(self, total: Resources) -> None:
        self.total = total
        self.used = Resources()
        self.queued = Resources()
        self._signal = Signal()
        self._line: list[object] = []

    @property
    def free(self) -> Resources:
        return self.total.minus(self.used)

    @asynccontextmanager
    async def hold(self, need: Resources) -> AsyncIterator[None]:
        """Wait for room, then keep it while the block runs."""
        await self._wait_for_room(need)
        self.used = self.used.plus(need)
        try:
            yield
        finally:
            self.used = self.used.minus(need)
            self._signal.fire()

    async def _wait_for_room(self, need: Resources) -> None:
        if not self._line and not self.free.lacks(need):
            return
        ticket = object()
        self._line.append(ticket)
        self.queued = self.queued.plus(need)
        try:
            while self._line[0] is not ticket or self.free.lacks(need):
                await self._signal.wait(60)
        finally:
            self._line.remove(ticket)
            self.queued = self.queued.minus(need)
            self._signal.fire()
