"""WebSockets of logs and events, and event streams: frames and clients as no library would make them."""

import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.requests import is_fault, segments
from tests.fuzz.search import Search
from tests.fuzz.target import Target
from tests.fuzz.values import odd, rendered
from tests.support.until import until

HEAD_SECONDS = 15.0
TALK_SECONDS = 1.0
FRAME_SECONDS = 0.1  # a socket may stay open for ever, so this is no fault
TEXTS = [b"", b"x", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"{}", b"[" * 5000, b"\x00", b"a" * 126, b"b" * 70_000]
CLOSES = [b"", b"\x03", b"\x03\xe8", b"\x03\xe8\xff", b"\x00\x00", b"\x03\xed", b"\x03\xe8" + b"r" * 130]
SIZES = [0, 125, 126, 65_535, 65_536, 2**31, 2**62, 2**63, 2**64 - 1]
HEADS = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 7", "Sec-WebSocket-Version: x", ""]
KEYS = ["dGhlIHNhbXBsZSBub25jZQ==", "", "x", "é"]
EXTRAS = ["", "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: a, b", "Content-Length: 5"]
EXTRAS += ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99", "Origin: http://evil.example"]
QUERIES = [
    "",
    "?follow=true",
    "?follow=1&wide=1",
    "?tail_lines=99999999999999999999",
    "?after=%ff:1.1",
    "?tail=x",
    "?job_id=x",
]


@dataclass(frozen=True)
class Talk:
    """What a client sends on one socket, and whether it leaves at once."""

    head: bytes
    frames: tuple[bytes, ...]
    hurried: bool


def _frame(first: int, payload: bytes, size: int | None, is_masked: bool) -> bytes:
    """`size` None is the payload's own."""
    length = len(payload) if size is None else size
    bit = 0x80 if is_masked else 0
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 65_536:
        head = bytes((first, bit | 126)) + struct.pack(">H", length)
    else:
        head = bytes((first, bit | 127)) + struct.pack(">Q", length)
    return head + (b"\0\0\0\0" if is_masked else b"") + payload


def _frames() -> st.SearchStrategy[bytes]:
    firsts = st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0x09, 0x83, 0xC1, 0xF1, 0x8F])
    payloads = st.sampled_from(TEXTS) | st.sampled_from(CLOSES) | odd.map(rendered) | st.binary(max_size=10)
    lies = st.sampled_from([None] * 6 + SIZES)
    masks = st.sampled_from([True] * 7 + [False])
    whole = st.builds(_frame, firsts, payloads.filter(lambda p: len(p) < 10**6), lies, masks)
    return whole | st.sampled_from([_frame(0x89, b"p" * 125, None, True) * 500, _frame(0x01, b"f", None, True) * 2000])


def talks(target: Target) -> st.SearchStrategy[Talk]:
    """Handshakes, right for most, and what follows."""
    logs = segments(target).map(lambda s: b"/api/v1/orchestrator/jobs/" + s + b"/logs")
    places = logs | st.sampled_from(
        [b"/api/v1/requester/logs", b"/requester/websocket/events", b"/requester/logs", b"/x"]
    )
    paths = st.builds(lambda place, query: place + query.encode(), places, st.sampled_from(QUERIES))
    versions = st.sampled_from(HEADS[:1] * 6 + HEADS)
    keys = st.sampled_from(KEYS[:1] * 6 + KEYS)
    mine = f"Authorization: Bearer {target.token}" if target.token else ""

    def head(path: bytes, version: str, key: str, extra: str) -> bytes:
        lines = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
        told = "\r\n".join(line for line in [*lines, version, extra, mine] if line)
        return b"GET " + path + b" HTTP/1.1\r\n" + told.encode() + b"\r\n\r\n"

    heads = st.builds(head, paths, versions, keys, st.sampled_from(EXTRAS[:1] * 4 + EXTRAS))
    return st.builds(Talk, heads, st.lists(_frames(), max_size=5).map(tuple), st.booleans())


def status_of(target: Target, talk: Talk) -> int:
    """The status of the handshake, 0 without an answer; all that comes after it is read."""
    got = b""
    with target.connect(HEAD_SECONDS) as line, suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        line.sendall(talk.head)
        if talk.hurried:
            line.sendall(b"".join(talk.frames))
            return 0
        while b"\r\n" not in got and (more := line.recv(65_536)):
            got += more
        line.settimeout(FRAME_SECONDS)
        for frame in talk.frames:
            line.sendall(frame)
        end = time.monotonic() + TALK_SECONDS
        while line.recv(65_536) and time.monotonic() < end:
            pass
    return int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/") else 0


def knock(target: Target, search: Search) -> None:
    """Open sockets and misbehave: no fault, and nothing stays open."""

    def holds(talk: Talk) -> None:
        status = status_of(target, talk)
        assert not is_fault(status), f"{status} to {talk.head!r}"

    _leaving_nothing(target, lambda: search.run(holds, talks(target)))


def _leaving_nothing(target: Target, act: Callable[[], None]) -> None:
    """Act, and see that the server has closed what it opened for that. A file more may be one of its own."""
    before = _open_files(target)
    act()
    until(lambda: _open_files(target) <= before + 3, "what clients left is closed")
    target.check()


def _open_files(target: Target) -> int:
    return len(os.listdir(f"/proc/{target.process.child.pid}/fd"))


def streams(target: Target) -> st.SearchStrategy[Talk]:
    """Requests for events, and what a client sends and does while they come."""
    jobs = segments(target).map(lambda s: b"/api/v1/orchestrator/jobs/" + s + b"/events")
    paths = jobs | st.sampled_from([b"/api/v1/orchestrator/events"])
    places = st.sampled_from(["", "0", "-1", "x", "9" * 30, "1.2", "1.2.3", "\xe9", "1-1", " ", "9" * 5000, "1.0.0"])
    names = st.sampled_from(["Last-Event-ID", "last-event-id", "Accept", "Range", "Connection", "X"])
    queries = st.sampled_from(["", "?last_event_id=", "?since=", "?namespace=", "?labels=", "?limit=", "?x="])
    mine = f"Authorization: Bearer {target.token}\r\n" if target.token else ""

    def head(path: bytes, query: str, place: str, name: str, value: str) -> bytes:
        asked = (query + place.replace(" ", "%20") if query else "").encode("latin-1")
        told = f" HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\n{mine}\r\n".encode("latin-1")
        return b"GET " + path + asked + told

    heads = st.builds(head, paths, queries, places, names, places)
    more = st.sampled_from([b"", b"x", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01", b"y" * 90_000])
    return st.builds(Talk, heads, st.lists(more, max_size=2).map(tuple), st.booleans())


def knock_streams(target: Target, search: Search) -> None:
    """Follow events and misbehave: no fault, and nothing stays open."""

    def holds(talk: Talk) -> None:
        status = status_of(target, talk)
        assert not is_fault(status) and (status or talk.hurried), f"{status} to {talk.head!r}"

    _leaving_nothing(target, lambda: search.run(holds, streams(target)))
