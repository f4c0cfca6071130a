"""Sending what the outbox holds: each message until its node has taken it, or until it is clear that it never can.

A row of the outbox holds an execution without its job, so that a job of many parts is stored once; the job is added
when the message is sent.
"""

import logging
from functools import partial

from bacalhau.lib.aio import crew
from bacalhau.lib.errors import BacalhauError, BadRequest, NotFound
from bacalhau.lib.failpoint import Point, reach
from bacalhau.lib.outbox import Verdict
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.messages.start import complete_body
from bacalhau.orchestrator.messages.undeliverable import refuse_execution
from bacalhau.ports.store import PendingMessage

log = logging.getLogger(__name__)


async def dispatch_forever(orch: Orchestrator) -> None:
    """Send messages and forget those that are settled, without end."""
    async with crew() as senders:
        orch.outbox.begin(senders, partial(_send, orch))
        await orch.outbox.settled.forget_forever(partial(drop_messages, orch))


async def drop_messages(orch: Orchestrator, messages: list[PendingMessage]) -> None:
    """Remove messages from the store. Raises Unavailable."""
    await orch.store.drop_messages([message.seq for message in messages])
    reach(Point.FORGOTTEN)


async def _send(orch: Orchestrator, message: PendingMessage) -> Verdict:
    try:
        return await _try_once(orch, message)
    except BacalhauError as e:
        # A node that left is told of once, by those who saw it leave.
        level = logging.INFO if orch.outbox.lane(message.node_id).is_open else logging.DEBUG
        log.log(level, "%s to %s will be sent again: %s", message.type, message.node_id, e)
        return Verdict.LATER


async def _try_once(orch: Orchestrator, message: PendingMessage) -> Verdict:
    """Try to send a message. Raises an error when it is to be sent again."""
    reach(Point.SENDING)
    try:
        body = await complete_body(orch, message)
    except NotFound as e:
        log.warning("%s to %s is not sent: %s", message.type, message.node_id, e)
        return Verdict.NEVER
    try:
        await orch.bus.send(message.node_id, message.type, body, message.seq)
    except BadRequest as e:
        log.error("%s: %s", message.type, e)
        await refuse_execution(orch, message, e.message)
        return Verdict.NEVER
    reach(Point.SENT)
    return Verdict.TAKEN
