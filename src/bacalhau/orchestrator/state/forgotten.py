"""Forgetting jobs that have ended: their rows, the blocks of large specifications, and the output that is kept."""

from collections.abc import Sequence

from bacalhau.lib.aio import Signal
from bacalhau.orchestrator.state.limits import OnForgotten
from bacalhau.orchestrator.state.specs import LARGE, Specs
from bacalhau.ports.store import RetentionStore

SLICE = 1000  # executions or events in one transaction: a few ms each
PAUSE = 0.02  # seconds between two steps


async def forget_jobs(store: RetentionStore, specs: Specs, on_forgotten: OnForgotten, job_ids: Sequence[str]) -> None:
    """Forget jobs; those that are open again stay."""
    large = await store.list_large_versions(job_ids, LARGE)
    await store.forget_jobs(job_ids)
    await specs.remove(large)
    await sweep_forgotten(store, on_forgotten)


async def sweep_forgotten(store: RetentionStore, on_forgotten: OnForgotten) -> None:
    """Remove what is left of forgotten jobs, with a pause after each slice: one job may have 100,000 executions."""
    is_more = True
    while is_more:
        executions, is_more = await store.sweep_forgotten(SLICE)
        if executions:
            await on_forgotten(executions)
        await Signal().wait(PAUSE)
