"""Waiting for a job as one long request after another, over restarts of the server.

A server that does not know how to wait answers at once; it is then asked twice a second.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import TypeVar

from bacalhau.client.transport import Transport, path_part
from bacalhau.lib.errors import Unavailable
from bacalhau.models.wire.api import ListHistoryResponse

T = TypeVar("T")
OnAway = Callable[[Unavailable], None]
"""Called once each time that the connection to the server is lost."""

LONG = 20  # seconds one request may wait
PATIENCE = 60.0  # seconds without a server before waiting fails
_QUICK, _PAUSE = 0.4, 0.5
FIRST_RETRY, SLOWEST_RETRY = 0.2, 3.0


async def watch_job(
    transport: Transport, job_id: str, on_away: OnAway | None = None, execution_id: str = ""
) -> AsyncGenerator[ListHistoryResponse, None]:
    """New events and progress as they come, until nothing more can come; of one execution where its id is given.

    Raises NotFound, or Unavailable after PATIENCE.
    """
    path = f"/orchestrator/jobs/{path_part('job', job_id)}/history"
    token, progress = "", 0
    while True:
        query = {"wait": LONG, "next_token": token, "progress": progress, "execution_id": execution_id}
        began = time.monotonic()
        answer = await patiently(partial(transport.ask, ListHistoryResponse, path, query, seconds=LONG + 15), on_away)
        yield answer
        if not answer.next_token:
            return
        is_news = answer.items or answer.progress_seq != progress
        token, progress = answer.next_token, answer.progress_seq
        if not is_news and time.monotonic() - began < _QUICK:
            await asyncio.sleep(_PAUSE)


async def patiently(ask: Callable[[], Awaitable[T]], on_away: OnAway | None = None) -> T:
    """Repeat a question while the server cannot be reached, for PATIENCE seconds."""
    give_up = time.monotonic() + PATIENCE
    pause = FIRST_RETRY
    while True:
        try:
            return await ask()
        except Unavailable as e:
            if time.monotonic() + pause > give_up:
                raise
            if on_away is not None:
                on_away(e)
                on_away = None
        await asyncio.sleep(pause)
        pause = min(pause * 2, SLOWEST_RETRY)
