"""A gateway on loopback over the real streaming functions, which can be told to cut a connection or to lie."""

from contextlib import asynccontextmanager

from aiohttp import web

from bacalhau.lib.errors import NotFound
from bacalhau.plugins.ipfs.gateway import entity_bytes, raw_block, stream_car


class Gateway:
    """`cuts`: for each request to come, after how many bytes its connection is reset.

    `lies`: block bytes replaced on the way.
    """

    def __init__(self, content):
        self.content = content
        self.cuts: list[int] = []
        self.lies: dict[bytes, bytes] = {}
        self.refusals: list[int] = []
        self.url = ""
        self.asked: list[str] = []
        self.sent = 0

    async def answer(self, request):
        self.asked.append(request.path_qs)
        if self.refusals:
            return web.Response(status=self.refusals.pop(0))
        limit = self.cuts.pop(0) if self.cuts else None
        response = web.StreamResponse()
        started = 0
        try:
            async for chunk in self.chunks(request):
                if not response.prepared:
                    await response.prepare(request)
                for truth, lie in self.lies.items():
                    chunk = chunk.replace(truth, lie)
                self.sent += len(chunk)
                if limit is not None and started + len(chunk) >= limit:
                    await response.write(chunk[: limit - started])
                    request.transport.close()
                    return response
                await response.write(chunk)
                started += len(chunk)
        except NotFound as e:
            return web.Response(status=404, text=e.message)
        return response

    async def chunks(self, request):
        cid, query = request.match_info["cid"], request.query
        if query["format"] == "raw":
            yield await raw_block(self.content, cid)
            return
        begin, end = entity_bytes(query.get("entity-bytes", "0:*"), 0)
        async for chunk in stream_car(self.content, cid, query.get("dag-scope", "all"), begin, end):
            yield chunk


@asynccontextmanager
async def gateway(content):
    door = Gateway(content)
    app = web.Application()
    app.router.add_get("/ipfs/{cid}", door.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    door.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield door
    finally:
        await runner.cleanup()
