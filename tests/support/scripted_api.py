"""An HTTP server on loopback that answers as a test says, for what the real one would hardly do."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        text=body if isinstance(body, str) else json.dumps(body), status=status, content_type="application/json"
    )


@asynccontextmanager
async def scripted_api(handler: Handler, port: int = 0) -> AsyncIterator[str]:
    """Its URL. `port` 0 takes a free one."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
