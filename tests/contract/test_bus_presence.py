"""Nodes that freeze, that are sent away, or that leave while nobody looks: the orchestrator hears of it soon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from bacalhau.bus.node import node_bus
from bacalhau.bus.presence import CONNECT, DISCONNECT
from bacalhau.bus.subject import from_node
from bacalhau.lib.aio import together
from bacalhau.lib.errors import Unavailable
from tests.support.nats import cluster, serving_node, settle


class Line:
    """A network cable between a node and the server; `cut` swallows everything and closes nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._pumps: list[asyncio.Task[None]] = []

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._pumps += [
            asyncio.ensure_future(self._pump(reader, back)),
            asyncio.ensure_future(self._pump(there, writer)),
        ]

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._whole.wait()
                sink.write(data)
            await self._whole.wait()
        finally:
            sink.close()

    def end(self) -> None:
        for pump in self._pumps:
            pump.cancel()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[tuple[Line, str]]:
    line = Line(port)
    async with await asyncio.start_server(line.connect, "127.0.0.1", 0) as server:
        try:
            yield line, f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            line.end()


async def test_a_node_behind_a_dead_line_is_noticed_and_comes_back(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path) as made,
        line_to(made.server.port) as (line, url),
        serving_node(url, "n-1", "secret") as (_, down),
    ):
        line.cut()
        async with asyncio.timeout(6):  # 2 s on a quiet machine; without pings it would be minutes
            await made.up.until(lambda: made.up.gone)
        assert made.up.gone == ["n-1"]
        line.mend()
        await down.until(lambda: down.greeted == 2)


async def test_of_several_addresses_the_one_that_answers_is_taken(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path) as made,
        serving_node(f"nats://127.0.0.1:1,{made.server.url}", "n-1", "secret") as (_, down),
    ):
        assert down.greeted == 1


async def test_a_node_that_is_disconnected_comes_back_under_its_own_name(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        _, down = await made.node("n-1")
        _, other = await made.node("n-2")
        await made.orchestrator.disconnect("n-1")
        await down.until(lambda: down.greeted == 2)
        assert made.up.gone == ["n-1"] and other.greeted == 1


async def test_a_node_that_is_no_member_yet_may_register_and_nothing_else(tmp_path: Path) -> None:
    async with cluster(tmp_path, pending=("n-new",)) as made:
        client = await made.stranger(name="n-new")
        for lane in ("ctrl", "msgs", "requests", "progress"):
            await client.publish(from_node("n-new", lane), b"x")
        await settle(client)
        assert sorted(error.split('"')[1].rpartition(".")[2] for error in client.errors) == [
            "msgs",
            "progress",
            "requests",
        ]


async def test_an_end_that_nobody_saw_is_found_out(tmp_path: Path) -> None:
    """The orchestrator's own view was interrupted: it asks the server who is there."""
    async with cluster(tmp_path) as made:
        await made.node("n-stays")
        presence = made.orchestrator.presence
        presence._connections["n-left"] = {10**6}
        await presence.disconnect("bacalhau-orchestrator")
        await made.up.until(lambda: "n-left" in made.up.gone)
        assert "n-stays" not in made.up.gone


async def test_a_node_that_comes_while_the_server_is_asked_is_not_overlooked(tmp_path: Path) -> None:
    """The server's list may have been written before, and be read after, the word of its coming."""
    async with cluster(tmp_path) as made:
        presence = made.orchestrator.presence

        def tell(receiver: str) -> None:
            presence.receivers[receiver](
                Msg(_client=None, data=b'{"server": {"id": "S"}, "client": {"id": 1000000, "name": "n-new"}}')
            )

        async def come() -> None:
            tell(CONNECT)

        await together(presence._look(), come())
        assert made.up.gone == []
        tell(DISCONNECT)
        assert made.up.gone == ["n-new"]


async def test_a_copy_of_a_node_stays_out_as_long_as_the_node_is_there(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        async with serving_node(made.server.url, "n-1", "secret"), node_bus(made.server.url, "n-1", "secret") as copy:
            with pytest.raises(Unavailable):
                await copy.connected(0.5)
        async with node_bus(made.server.url, "n-1", "secret") as other:
            await other.connected(10)
