"""Assembly: the orchestrator's loops under one roof."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from bacalhau.lib.aio import background
from bacalhau.orchestrator.core import Orchestrator
from bacalhau.orchestrator.evaluation.evaluator import evaluate_forever
from bacalhau.orchestrator.evaluation.foretelling import foretell_forever
from bacalhau.orchestrator.evaluation.inventory import list_forever
from bacalhau.orchestrator.evaluation.locating import locate_forever
from bacalhau.orchestrator.messages.dispatcher import dispatch_forever
from bacalhau.orchestrator.messages.inbox import on_message
from bacalhau.orchestrator.nodes.expiry import Expiry
from bacalhau.orchestrator.nodes.handshake import on_gone, on_request
from bacalhau.orchestrator.nodes.hello import greet_nodes
from bacalhau.orchestrator.nodes.watch import load_state, watch_nodes_forever
from bacalhau.orchestrator.retention.forget import Keeper, retain_forever
from bacalhau.orchestrator.retention.trim import trim


@asynccontextmanager
async def run_orchestrator(orch: Orchestrator) -> AsyncIterator[None]:
    """Take up where the last process stopped, then serve nodes until the block ends."""
    await load_state(orch)
    keeper = Keeper(orch.forgetting, orch.content, orch.retention)
    async with (
        orch.bus.serve(partial(on_message, orch), partial(on_request, orch), partial(on_gone, orch)),
        background(
            greet_nodes(orch),
            evaluate_forever(orch),
            orch.views.scrap.drop_forever(),
            list_forever(orch),
            locate_forever(orch),
            foretell_forever(orch),
            dispatch_forever(orch),
            watch_nodes_forever(orch),
            retain_forever(keeper.forget, partial(trim, orch), Expiry(orch).forget_absent),
            orch.logs.sweep_forever(),
        ),
    ):
        yield
