"""The question that `top` and `doctor` ask a server: what it does at the moment."""

from bacalhau.client.client import AsyncClient
from bacalhau.models.wire.activity import ActivityResponse


async def ask_activity(client: AsyncClient, namespace: str = "", limit: int = 1) -> ActivityResponse:
    """Ask for what goes on, with at most `limit` executions. Others' servers raise NotFound."""
    query = {"namespace": namespace, "limit": limit}
    return await client.transport.ask(ActivityResponse, "/orchestrator/activity", query)
