"""Assembly: a node's loops under one roof."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from bacalhau.compute.core import ComputeNode
from bacalhau.compute.logs.read import read_logs
from bacalhau.compute.logs.shipping import ship_logs_forever
from bacalhau.compute.messages.control import heartbeat_forever, say_goodbye, shake_hands, tell_changes_forever
from bacalhau.compute.messages.inbox import on_message
from bacalhau.compute.messages.outbox import load_reports, report_forever
from bacalhau.compute.messages.questions import on_request
from bacalhau.compute.recovery import note_orderly_stop, resume_executions, tidy_forever
from bacalhau.lib.aio import background


@asynccontextmanager
async def run_node(node: ComputeNode) -> AsyncIterator[None]:
    """Take up what the last process had in hand, then serve until the block ends.

    Tasks that run are left to the next process.
    """
    await load_reports(node)
    await resume_executions(node)
    async with (
        node.bus.serve(
            partial(on_message, node), partial(read_logs, node), partial(shake_hands, node), partial(on_request, node)
        ),
        background(
            report_forever(node),
            heartbeat_forever(node),
            tell_changes_forever(node),
            tidy_forever(node),
            ship_logs_forever(node),
        ),
    ):
        try:
            yield
        finally:
            await say_goodbye(node)
    await note_orderly_stop(node)
