"""Sends what executions print to the orchestrator, in one message for all of them, from where its copies end.

One message is under way at a time and the next waits a little, so a job that prints without end costs a bounded rate.
"""

import asyncio
import logging

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.state.printed import FILES, Printed, read_batch
from bacalhau.lib.errors import BacalhauError, Unavailable
from bacalhau.models.wire.messages import PutLogsRequest, PutLogsResponse

TICK = 0.1  # seconds between messages while tasks run
IDLE = 0.25
LONGEST_PAUSE = 5.0
ANSWER_SECONDS = 30.0
log = logging.getLogger(__name__)


async def ship_logs_forever(node: ComputeNode) -> None:
    for execution_id in await asyncio.to_thread(_left_over, node):
        node.shipping.finish(execution_id, Printed(end=None))
    pause = TICK
    while True:
        await node.shipping.more.wait(pause)
        try:
            pause = await _ship(node)
        except BacalhauError as e:
            log.debug("logs will be sent again: %s", e)
            pause = min(max(pause, TICK) * 2, LONGEST_PAUSE)


def _left_over(node: ComputeNode) -> list[str]:
    """Ended executions whose output an earlier process may not have sent."""
    folders = [f for f in node.folder.iterdir() if f.name not in node.running] if node.folder.exists() else []
    return [f.name for f in folders if any((f / "result" / name).exists() for _, name in FILES)]


async def _ship(node: ComputeNode) -> float:
    """One message; returns the seconds until the next."""
    shipping = node.shipping
    if not shipping.logs:
        return IDLE
    due = shipping.due()
    if not due:
        return TICK
    batch = await asyncio.to_thread(read_batch, node.folder, due, shipping.limit, shipping.kept)
    if not batch.parts and not batch.ended:
        return TICK
    answer = await node.bus.request(
        PutLogsRequest(parts=batch.parts, ended=batch.ended), control=False, seconds=ANSWER_SECONDS
    )
    if not isinstance(answer, PutLogsResponse):
        raise Unavailable(f"the orchestrator answered a log with {type(answer).__name__}")
    shipping.note(answer, batch.ended)
    return 0 if any(entry.is_over for entry in shipping.logs.values()) else TICK
