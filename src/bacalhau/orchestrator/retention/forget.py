"""Old things go by themselves, so that a server that runs for years stays as quick and as small as in its first month.

Everything is forgotten in small steps with pauses between them: whoever submits a job meanwhile waits for one step at
most.
"""

import logging
from collections.abc import Awaitable, Callable

from bacalhau.lib.aio import Signal
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.orchestrator.state.forgotten import PAUSE, forget_jobs, sweep_forgotten
from bacalhau.orchestrator.state.limits import OnForgotten, Retention, limits_of
from bacalhau.orchestrator.state.specs import Specs
from bacalhau.ports.content import OwnContent
from bacalhau.ports.store import RetentionStore

EVERY = 60.0  # seconds between two looks
STEP = 100  # jobs
log = logging.getLogger(__name__)


async def retain_forever(*steps: Callable[[], Awaitable[None]]) -> None:
    tick = Signal()
    while True:
        try:
            for step in steps:
                await step()
        except Unavailable as e:
            log.error("old things were not removed: %s", e)
        except BacalhauError as e:
            log.warning("old things were not removed: %s", e)
        await tick.wait(EVERY)


class Keeper:
    def __init__(
        self, store: RetentionStore, content: OwnContent, retention: Retention, on_forgotten: OnForgotten
    ) -> None:
        self._store = store
        self._content = content
        self._specs = Specs(content)
        self._retention = retention
        self._on_forgotten = on_forgotten

    async def forget(self) -> None:
        """Everything that is beyond the limits now."""
        count = await self._forget_jobs()
        if count:
            log.info("%d finished jobs were old, or too many, and are forgotten", count)
        while await self._store.forget_dead_letters(
            limits_of(self._retention.jobs_age, self._retention.dead_letters_count), STEP
        ):
            await Signal().wait(PAUSE)
        if self._retention.content_age:
            await self._content.forget(limits_of(self._retention.content_age, 0).before)

    async def _forget_jobs(self) -> int:
        limits, count = limits_of(self._retention.jobs_age, self._retention.jobs_count), 0
        await sweep_forgotten(self._store, self._on_forgotten)  # what an earlier process left half forgotten
        while any(limits) and (job_ids := await self._store.list_expired_jobs(limits, STEP)):
            await forget_jobs(self._store, self._specs, self._on_forgotten, job_ids)
            count += len(job_ids)
        return count
