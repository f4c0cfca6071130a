"""A proxy before a real server that lets requests fail as a test says, and passes all others on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO

import aiohttp
import yarl
from aiohttp import web
from multidict import CIMultiDictProxy

Fail = Callable[["FaultyProxy", web.Request], Awaitable[web.StreamResponse]]


class FaultyProxy:
    """`choose` names how a request fails, None to pass it on; `requests` are all that came, in order."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.url = ""
        self.requests: list[web.Request] = []
        self.choose: Callable[[web.Request], Fail | None] = lambda request: None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        fail = self.choose(request)
        return await (fail(self, request) if fail else self.forward(request))

    async def fetch(self, request: web.Request) -> tuple[int, "CIMultiDictProxy[str]", bytes]:
        """Do a request at the server; return its status, headers and body."""
        url = yarl.URL(self._target + request.raw_path, encoded=True)
        body = BytesIO(await request.read())
        async with self._session.request(request.method, url, headers=request.headers, data=body) as got:
            return got.status, got.headers, await got.read()

    async def forward(self, request: web.Request, breaks_after: int = -1) -> web.StreamResponse:
        """Pass a request on; of a longer answer only `breaks_after` bytes come back."""
        status, headers, data = await self.fetch(request)
        response = web.StreamResponse(status=status, headers=headers)
        if request.method != "HEAD":
            response.headers.popall("Transfer-Encoding", None)
            response.content_length = len(data)
        await response.prepare(request)
        if 0 <= breaks_after < len(data):
            await response.write(data[:breaks_after])
            request.transport.close()
        elif data:
            await response.write(data)
        return response

    @asynccontextmanager
    async def listen(self) -> AsyncIterator["FaultyProxy"]:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=("Content-Type",)) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
            await runner.cleanup()


def refuses(status: int, code: str, **headers: str) -> Fail:
    """Answer an error of S3; with status 200 it is one that comes after success was announced."""

    async def fail(proxy: FaultyProxy, request: web.Request) -> web.StreamResponse:
        await request.read()
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>because</Message></Error>"
        return web.Response(
            status=status, text=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return fail


def breaks(after: int) -> Fail:
    """Break the answer off after so many bytes."""

    async def fail(proxy: FaultyProxy, request: web.Request) -> web.StreamResponse:
        return await proxy.forward(request, after)

    return fail


async def loses_answer(proxy: FaultyProxy, request: web.Request) -> web.StreamResponse:
    """Have the server do it, and close the connection without an answer."""
    await proxy.fetch(request)
    request.transport.close()
    return web.Response()


async def stops_reading(proxy: FaultyProxy, request: web.Request) -> web.StreamResponse:
    """Take the beginning of a request's body, and nothing more."""
    await request.content.readany()
    return await asyncio.Event().wait()


def stops_sending(after: int) -> Fail:
    """Send so many bytes of the answer, and nothing more."""

    async def fail(proxy: FaultyProxy, request: web.Request) -> web.StreamResponse:
        status, headers, data = await proxy.fetch(request)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:after])
        return await asyncio.Event().wait()

    return fail
