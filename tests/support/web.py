"""A file server on loopback that a test can tell to cut connections, to refuse, to redirect, or to know nothing of
ranges.
"""

from contextlib import asynccontextmanager

from aiohttp import web


class FileServer:
    """`files`: path → bytes.

    `cuts`: for each GET to come, after how many bytes its connection is closed. `refusals`: statuses to answer first.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.etag = '"one"'
        self.cuts: list[int] = []
        self.refusals: list[int] = []
        self.no_head = self.no_range = self.no_length = False
        self.asked: list[tuple[str, str, str]] = []
        self.sent = 0
        self.url = ""

    async def answer(self, request):
        self.asked.append((request.method, request.path_qs, request.headers.get("Range", "")))
        if self.refusals:
            return web.Response(status=self.refusals.pop(0), headers=self.headers)
        if request.path in self.redirects:
            return web.Response(status=302, headers={"Location": self.redirects[request.path]})
        if request.path not in self.files:
            return web.Response(status=404)
        if request.method == "HEAD" and self.no_head:
            return web.Response(status=405)
        return await self._send(request, self.files[request.path])

    async def _send(self, request, data):
        status, headers = 200, dict(self.headers)
        if self.etag:
            headers["ETag"] = self.etag
        begin, end = 0, len(data)
        matches = request.headers.get("If-Range") in (None, self.etag)
        if request.http_range.start is not None and matches and not self.no_range:
            begin, end = request.http_range.start, min(request.http_range.stop or len(data), len(data))
            if begin >= len(data):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
            status, headers["Content-Range"] = 206, f"bytes {begin}-{end - 1}/{len(data)}"
        if not self.no_length:
            headers["Content-Length"] = str(end - begin)
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        if request.method == "GET":
            await self._body(request, response, data[begin:end])
        return response

    async def _body(self, request, response, body):
        cut = self.cuts.pop(0) if self.cuts and not request.headers.get("Range", "").endswith("=0-0") else None
        for start in range(0, len(body), 64 << 10):
            chunk = body[start : start + (64 << 10)] if cut is None else body[start : min(start + (64 << 10), cut)]
            if chunk:
                await response.write(chunk)
                self.sent += len(chunk)
            if cut is not None and start + (64 << 10) >= cut:
                request.transport.close()
                return


@asynccontextmanager
async def file_server():
    server = FileServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
