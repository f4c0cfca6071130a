"""A link to a message server, whatever the library beneath does."""

import asyncio
from contextlib import suppress

import pytest
from nats.aio.client import Client

from bacalhau.bus.link import Login, linked

pytestmark = pytest.mark.anyio


async def test_a_link_ends_though_the_library_keeps_the_cancellation_to_itself(monkeypatch):
    closing = asyncio.Event()

    async def close(client):
        """As the library's own does while it flushes."""
        closing.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(Client, "close", close)
    async with asyncio.timeout(10), linked(Login("nats://127.0.0.1:1", "n")):
        await closing.wait()
