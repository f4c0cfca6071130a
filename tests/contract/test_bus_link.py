"""A link to a message server, whatever the library beneath does."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress

import pytest
from anyio.lowlevel import checkpoint
from nats.aio.client import Client

from bacalhau.bus.link import AT_ONCE, LinkLost, Login, linked
from bacalhau.lib.aio import crew

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def message_server(comers, cut):
    """As much of one as a connection needs, until `cut` is set."""

    async def serve(reader, writer):
        comers.release()
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        await cut.wait()
        writer.write(b"-ERR 'Stale Connection'\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


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


async def test_a_link_ends_though_it_was_just_connecting(monkeypatch):
    connected, connect = asyncio.Event(), Client.connect

    async def swallow(client, *servers, **options):
        await connect(client, *servers, **options)
        connected.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(Client, "connect", swallow)
    async with (
        message_server(asyncio.Semaphore(0), asyncio.Event()) as url,
        asyncio.timeout(4),
        linked(Login(url, "n")),
    ):
        await connected.wait()


async def test_a_connection_that_the_library_fails_to_close_is_made_anew(monkeypatch):
    """As happens to one that the server gave up while this process was stopped: no callback tells of the end."""
    comers, cut = asyncio.Semaphore(0), asyncio.Event()

    async def close(client, status, do_cbs=True):
        if client.is_closed:
            return
        client._status = status
        client._transport.close()
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    monkeypatch.setattr(Client, "_close", close)
    async with asyncio.timeout(20), message_server(comers, cut) as url, linked(Login(url, "n")) as link:
        await link.connected(10)
        await comers.acquire()
        cut.set()
        await comers.acquire()
        await link.connected(10)
        monkeypatch.undo()


@pytest.mark.parametrize("kind", [RuntimeError, ConnectionResetError])
async def test_a_connection_that_breaks_under_a_message_is_made_anew(monkeypatch, kind):
    """As happens where the server gave it up while this process was stopped: its transport cannot be used any more."""

    close = Client.close

    async def fail(client, *arguments, **options):
        raise kind("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    async def close_and_fail(client):
        await close(client)
        await fail(client)

    comers, cut = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.timeout(20), message_server(comers, cut) as url, linked(Login(url, "n")) as link:
        await link.connected(10)
        await comers.acquire()
        with monkeypatch.context() as broken:
            broken.setattr(Client, "publish", fail)
            broken.setattr(Client, "close", close_and_fail)
            with pytest.raises(LinkLost):
                await link.publish("a", b"{}")
            await comers.acquire()
        await link.connected(10)


@asynccontextmanager
async def flooding_server(subjects, count):
    """A message server that sends so many messages of each subject at once, in turn, as soon as all are asked for."""

    async def serve(reader, writer):
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true}\r\n')
        numbers = {}
        while line := await reader.readline():
            verb, *words = line.split()
            if verb == b"PING":
                writer.write(b"PONG\r\n")
            elif verb == b"SUB":
                numbers[words[0]] = words[-1]
                if len(numbers) == len(subjects):
                    turn = [b"MSG %b %b 2\r\n{}\r\n" % item for item in numbers.items()]
                    writer.write(b"".join(turn * count))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_of_messages_that_come_at_once_few_are_taken_in_before_others_have_their_turn():
    subjects, count, step = ("a", "b"), 20 * AT_ONCE, 0
    seen, in_each_step = {subject: [] for subject in subjects}, Counter()
    over = asyncio.Event()

    def receive(message):
        seen[message.subject].append(message)
        in_each_step[step] += 1

    async def listen(link):
        async with link.subscribed(dict.fromkeys(subjects, receive)):
            await over.wait()

    async with asyncio.timeout(20), flooding_server(subjects, count) as url, linked(Login(url, "n")) as link:
        await link.connected(10)
        async with crew() as helpers:
            listening = helpers.start(listen(link))
            while in_each_step.total() < len(subjects) * count:
                await checkpoint()
                step += 1
            over.set()
            await listening
    assert max(in_each_step.values()) <= AT_ONCE
    assert all([message.subject for message in seen[subject]] == [subject] * count for subject in subjects)
