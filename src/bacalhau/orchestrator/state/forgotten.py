"""Forgetting jobs that have ended: their rows, the blocks of large specifications, of inventories and of proofs, the
output that is kept, and the outputs that nodes keep because they were not published.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bacalhau.lib.aio import Signal
from bacalhau.orchestrator.state.inventories import Inventories
from bacalhau.orchestrator.state.limits import OnForgotten
from bacalhau.orchestrator.state.outbox import Outbox
from bacalhau.orchestrator.state.proofs import Proofs
from bacalhau.orchestrator.state.specs import LARGE, Specs
from bacalhau.ports.store import RetentionStore, Swept

SLICE = 1000  # executions or events in one transaction: a few ms each
PAUSE = 0.02  # seconds between two steps


class Forgetting(NamedTuple):
    """The places that have something of jobs and executions that are forgotten."""

    store: RetentionStore
    specs: Specs
    inventories: Inventories
    proofs: Proofs
    outbox: Outbox
    on_forgotten: OnForgotten

    async def forget_jobs(self, job_ids: Sequence[str]) -> None:
        """Forget jobs; those that are open again stay."""
        large = await self.store.list_large_versions(job_ids, LARGE)
        roots = await self.store.list_inventories(job_ids)
        await self.store.forget_jobs(job_ids)
        await self.specs.remove(large)
        kept = set(await self.store.list_inventories(job_ids)) if roots else set()
        await self.inventories.remove([root for root in roots if root not in kept])
        await self.sweep()

    async def sweep(self) -> None:
        """Remove what is left of forgotten jobs, with a pause after each slice: one job may have 100,000 executions."""
        is_more = True
        while is_more:
            gone, is_more = await self.store.sweep_forgotten(SLICE)
            await self.tell(gone)
            await Signal().wait(PAUSE)

    async def tell(self, gone: Swept) -> None:
        """Tell those that have something of executions that were removed."""
        for message in gone.messages:
            self.outbox.push(message)
        for execution_id, root in gone.proofs:
            await self.proofs.remove(execution_id, root)
        if gone.execution_ids:
            await self.on_forgotten(gone.execution_ids)
