"""Connections under the rule: names, addresses, redirects, on real sockets."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from bacalhau.border.addresses import Reach, read_networks, refused_address
from bacalhau.border.connect import open_connection, open_session, reach_beside


async def answer(request):
    return web.Response(text="secret")


async def headers(request):
    return web.json_response(dict(request.headers))


@pytest.fixture
async def server():
    app = web.Application()
    app.router.add_get("/", answer)
    app.router.add_get("/lead", lead)
    app.router.add_get("/headers", headers)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def fetch(reach, url):
    async with open_session(reach) as session, session.get(url) as response:
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


async def lead(request):
    raise web.HTTPFound(request.query["to"])


async def test_a_redirect_leads_nowhere_else(server):
    """The first address is allowed by name, the second is another spelling of this machine."""
    reach = Reach(allowed=read_networks(["127.0.0.1"], "k"))
    assert await fetch(reach, f"http://127.0.0.1:{server}/lead?to=http://127.0.0.1:{server}/") == "secret"
    for other in ("127.0.0.2", "[::ffff:127.0.0.2]", "169.254.169.254"):
        with pytest.raises((aiohttp.ClientError, OSError)) as failed:
            await fetch(reach, f"http://127.0.0.1:{server}/lead?to=http://{other}:{server}/")
        assert refused_address(failed.value) is not None


async def test_a_proxy_of_the_environment_is_reached_and_its_target_is_checked(server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://localhost:{server}")
    monkeypatch.delenv("no_proxy", raising=False)
    async with open_session(Reach(), "http://192.0.2.1/") as session:
        async with session.get("http://192.0.2.1/") as response:
            assert await response.text() == "secret"
        for target in ("http://169.254.169.254/latest/meta-data", f"http://127.0.0.1:{server}/"):
            with pytest.raises((aiohttp.ClientError, OSError)) as failed:
                await session.get(target)
            assert refused_address(failed.value) is not None


async def test_nobody_gets_passwords_of_netrc(server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\nmachine broken [\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = f"http://127.0.0.1:{server}/headers"
    async with open_session(server=url) as session, session.get(url) as response:
        assert "Authorization" not in await response.json()


@pytest.mark.parametrize("api", ["http://127.0.0.1:1234", "http://localhost:1234", "https://[::1]/"])
async def test_results_are_on_the_clients_own_machine_only_where_its_api_is(server, api):
    assert await fetch(await reach_beside(api), f"http://127.0.0.1:{server}/") == "secret"


@pytest.mark.parametrize("api", ["http://192.0.2.1:1234", "http://no-such-host.invalid", ""])
async def test_results_of_another_machine_lead_to_no_service_of_the_clients(server, api):
    with pytest.raises((aiohttp.ClientError, OSError)) as failed:
        await fetch(await reach_beside(api), f"http://127.0.0.1:{server}/")
    refusal = refused_address(failed.value)
    assert refusal.reason == "127.0.0.1 belongs to this machine itself, whose services results may not reach"
    assert "API" in refusal.hint


async def test_a_server_that_goes_on_thinking_is_left():
    """An interim answer is one, but not the one that was asked for."""

    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(think, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    limits = aiohttp.ClientTimeout(total=None, sock_connect=0.2, sock_read=0.2)
    async with asyncio.timeout(60), open_session(timeout=limits) as session:
        with pytest.raises(TimeoutError):
            await session.get(f"http://127.0.0.1:{port}/")
    listener.close()
