"""A server that lies in some of its answers: wrong lengths, codes, encodings, redirects, endless bodies."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

ENDLESS_BYTES = 96 << 20  # what an endless body has in the end
_PIECE = bytes(64 << 10)
_STATUSES = [200, 204, 206, 207, 301, 302, 303, 307, 308, 304, 400, 401, 403, 404, 408, 410, 412, 416, 418, 429, 500]
_STATUSES += [501, 503, 999, 100, 101, 1, 20000]
_PLACES = ["/again", "/loop", "//", "", "http://[::1", "http://127.0.0.1:1/x", "ftp://127.0.0.1/x", "http://\x7f/"]
_PLACES += ["http://127.0.0.1:99999/", "file:///etc/passwd", "?x=1", "#", "http://user:pass@127.0.0.1:1/", "a" * 9000]
_SIZES = ["0", "1", "5", "-1", "x", "", "+3", "99999999999", "9" * 40, "1, 2", "7\r\nContent-Length: 9", " 4 "]
_RANGES = ["bytes 0-3/4", "bytes 5-2/4", "bytes 0-9/*", "bytes */0", "x", "bytes 0-99999999999/99999999999", "bytes -"]
_NAMES = [
    'attachment; filename="../../x"',
    "attachment; filename=..",
    'attachment; filename=""',
    "attachment; filename=" + "a" * 500,
]
_NAMES += ["attachment; filename*=UTF-8''%2e%2e%2fx", "attachment; filename=\x01", "attachment; filename=a/b", ";"]
_DIGESTS = ["x", "", "A" * 43 + "=", "A" * 44, "abcd-3", "é"]
HEADERS = {
    "Location": _PLACES,
    "Content-Length": _SIZES,
    "Content-Range": _RANGES,
    "Content-Disposition": _NAMES,
    "Content-Encoding": ["gzip", "br", "deflate", "zstd", "identity", "aws-chunked", "x, y", ""],
    "Transfer-Encoding": ["chunked", "gzip", "chunked, chunked", "x"],
    "Content-Type": ["application/x-directory", "text/html; charset=x", "", "application/xml", "é"],
    "ETag": ['"other"', "W/", "x", "", '"' + "e" * 5000 + '"', '"a\x80"'],
    "Last-Modified": ["Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", ""],
    "Retry-After": ["0", "-1", "x", "1e9", "٣"],
    "x-amz-bucket-region": ["eu-west-9", "", "../x", "a" * 3000, "é"],
    "x-amz-checksum-sha256": _DIGESTS,
    "x-amz-meta-sha256": _DIGESTS,
    "x-amz-version-id": ["null", "v" * 3000, ""],
    "Connection": ["close", "upgrade", "x"],
    "Set-Cookie": ["a=b; Domain=.", "x" * 4000],
    "X-Long": ["y" * 70_000],
}
_RAW = [
    b"",
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/9.9 200 OK\r\n\r\n",
    b"HTTP/1.1 abc x\r\n\r\n",
]
_RAW += [
    b"ICY 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9000 + b"\r\n",
]
_RAW += [b"HTTP/1.1 100 Continue\r\n\r\n" * 50, b"HTTP/1.1 200 " + b"x" * 90_000, b"\x00" * 5000]
_RAW += [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + c
    for c in (b"zz\r\n", b"fffffffffffffffff\r\n", b"5\r\nab", b"0" * 70_000)
]


@dataclass(frozen=True)
class Reply:
    """`size` is the length that is told when no header says one; `end` is what happens when the body is sent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    end: str = "keep"
    raw: bytes | None = None
    size: int | None = None

    def head(self) -> bytes:
        told = {"Content-Length": str(len(self.body) if self.size is None else self.size)}
        if "Transfer-Encoding" in self.headers:
            told = {}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (told | self.headers).items())
        return f"HTTP/1.1 {self.status} said\r\n{lines}\r\n".encode("utf-8", "replace")


Lie = Callable[[Reply], Reply]
Truth = Callable[[str, str, dict[str, str]], Reply]
"""The right answer to a method, a target and headers with small letters."""


def _header(name: str, value: str) -> Lie:
    return lambda reply: replace(reply, headers=reply.headers | {name: value})


def _cut(at: float) -> Lie:
    """The body ends early, and its length is still told."""
    return lambda r: replace(r, body=r.body[: int(len(r.body) * at)], size=len(r.body), end="close")


def _flip(at: float) -> Lie:
    def lie(reply: Reply) -> Reply:
        body, place = bytearray(reply.body), int(len(reply.body) * at)
        body[place : place + 1] = bytes(255 - byte for byte in body[place : place + 1])
        return replace(reply, body=bytes(body))

    return lie


def _insert(at: float, more: bytes) -> Lie:
    def lie(reply: Reply) -> Reply:
        place = int(len(reply.body) * at)
        return replace(reply, body=reply.body[:place] + more + reply.body[place:])

    return lie


def _longer(more: int) -> Lie:
    return lambda r: replace(r, body=r.body + bytes(more), size=len(r.body))


def lies(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Lie]:
    """One thing that is wrong with an answer; `bodies` are whole bodies that stand in for the right one."""
    places = st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.9, 1.0]) | st.floats(0, 1)
    pieces = st.binary(max_size=20) | st.sampled_from([b"\xff" * 12, b"\x80" * 12 + b"\x01", bytes(3 << 20)])
    headers = st.sampled_from(sorted(HEADERS)).flatmap(
        lambda name: st.sampled_from(HEADERS[name]).map(lambda value: _header(name, value))
    )
    return st.one_of(
        headers,
        headers,
        st.sampled_from(_STATUSES).map(lambda status: lambda reply: replace(reply, status=status)),
        places.map(_cut),
        places.map(_flip),
        st.builds(_insert, places, pieces),
        st.sampled_from([1, 100_000, 3 << 20]).map(_longer),
        bodies.map(lambda body: lambda reply: replace(reply, body=body)),
        st.sampled_from(["close", "reset", "silent", "endless"]).map(lambda end: lambda reply: replace(reply, end=end)),
        st.sampled_from(_RAW).map(lambda raw: lambda reply: replace(reply, raw=raw, end="close")),
    )


@dataclass(frozen=True)
class Script:
    """The lies in each answer, in turn; `rest` in all that follow."""

    answers: tuple[tuple[Lie, ...], ...]
    rest: tuple[Lie, ...]

    def reply(self, number: int, right: Reply) -> Reply:
        for lie in self.answers[number] if number < len(self.answers) else self.rest:
            right = lie(right)
        return right


def scripts(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Script]:
    few = st.lists(lies(bodies), max_size=2).map(tuple)
    return st.builds(Script, st.lists(few, max_size=4).map(tuple), st.just(()) | few)


class Liar:
    """The server; `port` is on loopback."""

    def __init__(self, truth: Truth, script: Script) -> None:
        self._truth, self._script, self._asked = truth, script, 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until a lie ends it."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = asked[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in asked[1:])}
        await reader.readexactly(int(headers.get("content-length", "0")))
        self._asked += 1
        reply = self._script.reply(self._asked - 1, self._truth(method, target, headers))
        body = b"" if method == "HEAD" and reply.end == "keep" else reply.body
        writer.write(reply.head() + body if reply.raw is None else reply.raw)
        await writer.drain()
        if reply.end == "endless":
            for _ in range(ENDLESS_BYTES // len(_PIECE)):
                writer.write(_PIECE)
                await writer.drain()
        if reply.end == "silent":
            await reader.read()
        if reply.end == "reset":
            writer.transport.abort()
        return reply.end == "keep"


@asynccontextmanager
async def lying(truth: Truth, script: Script) -> AsyncIterator[Liar]:
    """Serve for the block."""
    liar = Liar(truth, script)
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0, limit=1 << 20)
    liar.port = server.sockets[0].getsockname()[1]
    try:
        yield liar
    finally:
        server.close()


def part_of(body: bytes, headers: dict[str, str], told: dict[str, str]) -> Reply:
    """Answer for a whole body or the range that was asked for."""
    first, _, last = headers.get("range", "").removeprefix("bytes=").partition("-")
    if not first.isdecimal():
        return Reply(body, headers=told)
    start, end = int(first), min(int(last) if last.isdecimal() else len(body) - 1, len(body) - 1)
    if start >= len(body):
        return Reply(b"", 416, told | {"Content-Range": f"bytes */{len(body)}"})
    return Reply(body[start : end + 1], 206, told | {"Content-Range": f"bytes {start}-{end}/{len(body)}"})


def files_below(folder: os.PathLike[str]) -> dict[str, bytes]:
    """Return the content of all files of a folder by their names."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read(1 << 20)
    return found
