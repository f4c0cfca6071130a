"""Connections under the rule: names, addresses, redirects, on real sockets."""

import aiohttp
import pytest
from aiohttp import web

from bacalhau.border.addresses import Reach, refused_address
from bacalhau.border.connect import connector, open_connection


async def answer(request):
    return web.Response(text="secret")


@pytest.fixture
async def server():
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def fetch(reach, url):
    async with aiohttp.ClientSession(connector=connector(reach)) as session, session.get(url) as response:
        return await response.text()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "0.0.0.0"])
async def test_no_spelling_of_loopback_is_connected_to(server, host):
    with pytest.raises((aiohttp.ClientError, OSError)) as failed:
        await fetch(Reach(), f"http://{host}:{server}/")
    assert refused_address(failed.value) is not None
    assert await fetch(Reach(own=True), f"http://127.0.0.1:{server}/") == "secret"


async def test_plain_connections_obey_too(server):
    with pytest.raises(OSError, match="belongs to the node itself"):
        await open_connection(Reach(), "localhost", server)
    _, writer = await open_connection(Reach(own=True), "localhost", server)
    writer.close()
    await writer.wait_closed()
