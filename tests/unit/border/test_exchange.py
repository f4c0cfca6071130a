"""Small requests over the connections of a session, to servers that answer as a script says, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from bacalhau.border.addresses import EVERYWHERE, Reach, refused_address
from bacalhau.border.connect import open_session, read_chunks
from bacalhau.border.exchange import MOST_BODY, Exchange, Question
from bacalhau.lib.errors import Conflict

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: abc\r\n\r\nhello"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SILENCE = 0.2


async def allowed() -> None:
    """The Confirm of those who have no rival."""


@dataclass
class Script:
    """A server that gives one answer to each request, and ends the connection after one that says `close`."""

    answer: bytes = OK
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await self._read(reader):
            self.requests.append(head)
            writer.write(self.answer)
            await writer.drain()
            if b"Connection: close" in self.answer:
                break
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), b"0")
            return head + await reader.readexactly(int(size.rpartition(b" ")[2]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    made = Script()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@asynccontextmanager
async def exchanging(reach: Reach = EVERYWHERE) -> AsyncIterator[Exchange]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=SILENCE)
    async with open_session(reach, timeout=timeout) as session:
        yield Exchange(session)


def question(
    url: str,
    method: str = "GET",
    body: bytes = b"",
    confirm: Callable[[], Awaitable[None]] = allowed,
    **headers: str,
) -> Question:
    return Question(method, url, headers, body, confirm)


async def ask(exchange: Exchange, asked: Question) -> tuple[int, str | None, bytes]:
    async with exchange.open(asked) as answer:
        body = b"".join([chunk async for chunk in read_chunks(answer.content)])
        return answer.status, answer.headers.get("etag"), body


async def test_one_connection_serves_one_request_after_another(script: Script):
    async with exchanging() as exchange:
        for number in range(3):
            put = question(script.url(f"/b/%20{number}?a=b"), "PUT", b"body", **{"x-amz-date": "now"})
            assert await ask(exchange, put) == (200, "abc", b"hello")
        assert await ask(exchange, question(script.url("/b/"), "DELETE")) == (200, "abc", b"hello")
        assert await ask(exchange, question(script.url("/b/"))) == (200, "abc", b"hello")
    host = f"Host: 127.0.0.1:{script.port}\r\nAccept: */*\r\n".encode()
    assert script.requests[2] == (
        b"PUT /b/%202?a=b HTTP/1.1\r\n" + host + b"x-amz-date: now\r\nContent-Length: 4\r\n\r\nbody"
    )
    assert script.requests[3:] == [
        b"DELETE /b/ HTTP/1.1\r\n" + host + b"Content-Length: 0\r\n\r\n",
        b"GET /b/ HTTP/1.1\r\n" + host + b"\r\n",
    ]
    assert script.connections == 1


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 2),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", 2),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 1),
        (3 * CONTINUE + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1),
    ],
)
async def test_every_form_of_an_answer_is_read(script: Script, answer: bytes, connections: int):
    script.answer = answer
    async with exchanging() as exchange:
        for _ in range(2):
            assert await ask(exchange, question(script.url("/"))) == (200, None, b"hello")
    assert script.connections == connections


async def test_the_answer_to_a_head_has_a_length_and_no_body(script: Script):
    script.answer = OK.removesuffix(b"hello")
    async with exchanging() as exchange, exchange.open(question(script.url("/"), "HEAD")) as answer:
        assert (answer.status, answer.content_length, await answer.content.read()) == (200, 5, b"")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="silence"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", id="silence in the body"),
        pytest.param(CONTINUE, id="silence after an interim answer"),
        pytest.param(1000 * CONTINUE, id="interim answers without end"),
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello", id="a length that is none"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhello", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: Connection: close" + b"a" * 100_000, id="a header without end"),
    ],
)
async def test_a_broken_answer_ends_and_its_connection_is_not_used_again(script: Script, answer: bytes):
    script.answer = answer
    async with exchanging() as exchange:
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await ask(exchange, question(script.url("/")))
        script.answer = OK
        assert await ask(exchange, question(script.url("/"))) == (200, "abc", b"hello")
    assert script.connections == 2


async def test_an_answer_that_nobody_reads_to_its_end_costs_its_connection(script: Script):
    script.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10000\r\n\r\nhello"
    async with exchanging() as exchange:
        async with exchange.open(question(script.url("/"))) as answer:
            assert answer.status == 403
        script.answer = OK
        assert await ask(exchange, question(script.url("/"))) == (200, "abc", b"hello")
    assert script.connections == 2


async def test_a_body_that_nobody_takes_is_given_up():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1)
    port = server.sockets[0].getsockname()[1]
    async with exchanging() as exchange:
        with pytest.raises(TimeoutError):
            await ask(exchange, question(f"http://127.0.0.1:{port}/", "PUT", b"x" * MOST_BODY))
    over.set()
    server.close()


async def test_a_request_that_may_not_be_sent_any_more_is_not_sent(script: Script):
    async def lost() -> None:
        raise Conflict("another attempt may")

    async with exchanging() as exchange:
        with pytest.raises(Conflict):
            await ask(exchange, question(script.url("/"), "PUT", b"body", lost))
        assert await ask(exchange, question(script.url("/"))) == (200, "abc", b"hello")
    assert [request[:3] for request in script.requests] == [b"GET"]


async def test_the_rule_of_addresses_holds(script: Script):
    async with exchanging(Reach()) as exchange:
        for host in ("127.0.0.1", "localhost", "0x7f.1", "[::1]"):
            with pytest.raises((aiohttp.ClientError, OSError)) as failed:
                await ask(exchange, question(f"http://{host}:{script.port}/"))
            assert refused_address(failed.value) is not None
    assert not script.requests


@pytest.mark.parametrize("value", ["a\r\nEvil: yes", "a\nb", "a\0b"])
async def test_no_header_ends_a_line(script: Script, value: str):
    async with exchanging() as exchange:
        with pytest.raises(ValueError, match="control characters"):
            await ask(exchange, question(script.url("/"), **{"If-Match": value}))
    assert not script.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@host/",
        "http://host/a b",
        "http://host/a\r\nEvil: yes",
        "http://host/#part",
        "http://host",
        "http://host/ü",
        "ftp://host/",
        "",
    ],
)
async def test_urls_that_need_more_than_a_copy_are_left_to_the_session(url: str):
    asked = question(url)
    assert not asked.is_small
    async with exchanging() as exchange:
        with pytest.raises(ValueError, match="no place in a request"):
            await ask(exchange, asked)


async def test_bodies_of_more_than_one_piece_are_left_to_the_session(script: Script):
    assert question(script.url("/"), "PUT", b"x" * MOST_BODY).is_small
    assert not question(script.url("/"), "PUT", b"x" * (MOST_BODY + 1)).is_small
