"""Old things go by themselves, so that a server that runs for years stays as quick and as small as in its first month.

Everything is forgotten in small steps with pauses between them: whoever submits a job meanwhile waits for one step at
most.
"""

import logging
from collections.abc import Awaitable, Callable

from bacalhau.lib.aio import Signal
from bacalhau.lib.clock import now_ns
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.orchestrator.state.forgotten import PAUSE, Forgetting
from bacalhau.orchestrator.state.limits import SECOND, Retention, limits_of
from bacalhau.ports.content import OwnContent

EVERY = 60.0  # seconds between two looks
STEP = 100  # jobs
HOUR = 3600.0  # seconds, after which content is looked at whatever its age
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
    def __init__(self, forgetting: Forgetting, content: OwnContent, retention: Retention) -> None:
        self._forgetting, self._store = forgetting, forgetting.store
        self._content = content
        self._retention = retention
        self._content_due = 0

    async def forget(self) -> None:
        """Everything that is beyond the limits now."""
        count = await self._forget_jobs()
        if count:
            log.info("%d finished jobs were old, or too many, and are forgotten", count)
        while await self._store.forget_dead_letters(
            limits_of(self._retention.jobs_age, self._retention.dead_letters_count), STEP
        ):
            await Signal().wait(PAUSE)
        await self._forgetting.inventories.touch(await self._store.list_open_inventories())
        await self._forget_content()

    async def _forget_content(self) -> None:
        """Forget old content but for what known jobs took of earlier ones. That is walked block by block, so content is
        looked at a hundred times within its age, and not each minute.
        """
        age, now = self._retention.content_age, now_ns()
        if age and now >= self._content_due:
            kept = await self._store.list_reused_content()
            await self._content.forget(limits_of(age, 0).before, kept)
            self._content_due = now + int(min(age / 100, HOUR) * SECOND)

    async def _forget_jobs(self) -> int:
        limits, count = limits_of(self._retention.jobs_age, self._retention.jobs_count), 0
        await self._forgetting.sweep()  # what an earlier process left half forgotten
        while any(limits) and (job_ids := await self._store.list_expired_jobs(limits, STEP)):
            await self._forgetting.forget_jobs(job_ids)
            count += len(job_ids)
        return count
