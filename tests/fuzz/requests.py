"""Requests of every endpoint of both generations, byte by byte, each over a connection of its own."""

import base64
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from hypothesis import strategies as st
from litestar.routes import HTTPRoute

from bacalhau.api.app import make_app
from bacalhau.models.seed import api as seed
from bacalhau.models.wire import api as today
from bacalhau.models.wire.introduction import IntroduceRequest
from bacalhau.orchestrator.core import Orchestrator
from tests.fuzz.search import Search
from tests.fuzz.target import Target
from tests.fuzz.values import bodies, texts

ANSWER_SECONDS = 15.0
REFUSAL_SECONDS = 0.15  # what is not whole is waited for by the server; only a refusal comes at once
KINDS = [
    today.PutJobRequest,
    today.StopJobRequest,
    today.PutNodeRequest,
    today.RerunJobRequest,
    today.ExplainJobRequest,
    IntroduceRequest,
    seed.SubmitPayload,
    seed.ListRequest,
    seed.StateRequest,
    seed.EventsRequest,
]
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "BREW", "PRI"]
QUERY = [
    "limit",
    "next_token",
    "order_by",
    "reverse",
    "labels",
    "wait",
    "since",
    "progress",
    "include",
    "job_version",
    "event_type",
    "last_event_id",
    "namespace",
    "pretty",
    "filter-status",
    "execution_id",
    "job",
    "format",
    "entity-bytes",
    "dag-scope",
]
NAMES = [
    "Content-Type",
    "Accept",
    "Origin",
    "Host",
    "Last-Event-ID",
    "X-Request-ID",
    "Range",
    "Cookie",
    "Expect",
    "If-None-Match",
    "X-Bacalhau-Git-Version",
    "X-Bacalhau-Job-ID",
    "Upgrade",
    "Connection",
    "Content-Encoding",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "X-Forwarded-For",
    "Transfer-Encoding",
]
VALUES = [
    "application/json",
    "text/plain",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "gzip",
    "close",
    "localhost",
    "evil.example",
    "[::1",
    "127.0.0.1:99999",
    "bytes=0-",
    "bytes=5-2",
    "v1.0.0",
    "v99",
    "1.2.3.4.5",
    "websocket",
    "h2c",
    "100-continue",
    "text/html",
    "null",
    "application/vnd.ipld.car",
    "http://localhost:1",
]
STRANGE = [(b"A" * 3000, b"b"), (b"X-\xff", b"\xff"), (b"a b", b"c"), (b"", b"c"), (b"X", b"\x00"), (b"X", b"\x80")]
SEGMENTS = [b"%", b"%zz", b"%ff%fe", b"%2f%2F", b"..", b".", b"%2e%2e", b"\xff", b"a" * 9000, b"%00", b";"]
PASSWORDS = ["reader:a-long-password", "hashed:another-password", "hashed:\x00", "hashed:" + "é" * 40, ":"]
CREDENTIALS = """
    Bearer~Basic~Basic é~Basic ====~Bearer é~Bearer a.b.c~Negotiate x~~Bearer e30.e30.e30~Bearer éé.éé.éé~Basic ÿþ
""".strip().split("~")
HEADS = [b"{}", b'{"alg":"none"}', b'{"alg":1}', b'{"alg":"RS256","kid":null}', b'{"alg":"RS256","kid":[1]}', b"[1]"]
HEADS += [b'{"alg":"RS256","crit":[1]}', b'{"alg":"RS256","b64":false}', b'{"alg":"RS256","crit":"b64"}']
FRAMINGS = [
    "length",
    "chunked",
    "none",
    "both",
    "twice",
    "short",
    "negative",
    "plus",
    "huge",
    "large",
    "bad-chunk",
    "huge-chunk",
    "gzip",
    "identity",
    "expect",
]


@dataclass(frozen=True)
class Sent:
    """The bytes of a request. One that is not `whole` need not be answered."""

    data: bytes
    whole: bool


@cache
def places() -> list[tuple[str, list[str]]]:
    """Path templates of all routes with their methods."""
    routes = make_app(cast(Orchestrator, None)).litestar.routes
    return [
        (route.path_format, sorted({m for h in route.route_handlers for m in h.http_methods}))
        for route in routes
        if isinstance(route, HTTPRoute)
    ]


def segments(target: Target) -> st.SearchStrategy[bytes]:
    """Parts of a path: names that the target knows, and all others."""
    known = st.sampled_from([target.job_id, target.job_id[:10], target.job_name, "j-", "n-", "e-" + "0" * 36])
    escaped = texts.map(lambda t: "".join(f"%{b:02x}" for b in t.encode("utf-8", "surrogatepass")[:2000]))
    return known.map(str.encode) | escaped.map(str.encode) | st.sampled_from(SEGMENTS)


def _paths(target: Target) -> st.SearchStrategy[tuple[bytes, list[str]]]:
    found = segments(target)

    def filled(place: tuple[str, list[str]]) -> st.SearchStrategy[tuple[bytes, list[str]]]:
        parts = [part.encode() for part in re.split(r"\{[^}]*\}", place[0])]
        holes = st.tuples(*(found for _ in parts[1:]))
        return holes.map(lambda held: (parts[0] + b"".join(map(b"".join, zip(held, parts[1:], strict=True))), place[1]))

    return st.sampled_from(places()).flatmap(filled) | found.map(lambda s: (b"/" + s, ["GET"]))


def _queries() -> st.SearchStrategy[bytes]:
    values = st.sampled_from(["0", "1", "-1", "true", "%ff", "%", "é", "a,b!in(", "x" * 5000, "9" * 5000, "all", "*"])
    pair = st.tuples(st.sampled_from([*QUERY, "%00", ""]), values | texts).map(lambda p: f"{p[0]}={_escaped(p[1])}")
    return st.lists(pair, max_size=3).map(lambda pairs: "&".join(pairs).encode()[:60_000])


def _escaped(text: str) -> str:
    def octets(found: re.Match[str]) -> str:
        return "".join(f"%{b:02X}" for b in found[0].encode("utf-8", "replace"))

    return re.sub(r"[\x00-\x20#\x7f-\U0010ffff]", octets, text)


def _jwt(part: bytes) -> str:
    head = base64.urlsafe_b64encode(part).decode().rstrip("=")
    return f"Bearer {head}.{head}.{head}"


def _authorization(target: Target) -> st.SearchStrategy[str]:
    """Credentials, good ones for most."""
    depths = st.integers(1, 1100) | st.sampled_from([3000, 9000])
    deep = depths.map(lambda n: _jwt(b'{"alg":"RS256","kid":' + b"[" * n + b"]" * n + b"}"))
    basic = (st.sampled_from(PASSWORDS) | texts.map(lambda t: f"hashed:{t}")).map(
        lambda t: "Basic " + base64.b64encode(t.encode("utf-8", "surrogatepass")[:30_000]).decode()
    )
    odd = st.sampled_from([*CREDENTIALS, "Bearer " + "x" * 50_000, *map(_jwt, HEADS)])
    good = st.just(f"Bearer {target.token}")
    return st.integers(0, 2).flatmap(lambda n: deep | basic | odd if n == 0 else good)


def _headers(target: Target) -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    plain = re.compile(r"[\x00\r\n]")
    values = st.sampled_from(VALUES) | texts.map(lambda t: plain.sub("", t))
    one = st.tuples(st.sampled_from(NAMES), values).map(
        lambda p: (p[0].encode(), p[1].encode("utf-8", "surrogatepass")[:50_000])
    )
    some = st.lists(one | st.sampled_from(STRANGE), max_size=2)
    if not target.token:
        return some
    mine = _authorization(target).map(lambda v: (b"Authorization", v.encode("latin-1", "replace")))
    return st.tuples(mine, some).map(lambda p: [p[0], *p[1]])


def _envelopes() -> st.SearchStrategy[bytes]:
    """Bodies of the older generation, signed by nobody."""
    part = st.sampled_from([b'"AAAA"', b'"\xff"', b"1", b"{}", b"null", b'"MIIB"', b"[" * 2000, b'{"ClientID":"x"}'])
    shape = b'{"payload":%b,"signature":%b,"client_public_key":%b}'
    return st.tuples(part, part, part).map(lambda parts: shape % parts)


def _framed(body: bytes, framing: str) -> tuple[list[tuple[bytes, bytes]], bytes, bool]:
    """Headers, bytes and whether the request is whole."""
    size, length = str(len(body)).encode(), b"Content-Length"
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    code = (b"Transfer-Encoding", b"chunked")
    return {
        "length": ([(length, size)], body, True),
        "chunked": ([code], chunked, True),
        "none": ([], body, not body),
        "both": ([(length, size), code], chunked, False),
        "twice": ([(length, size), (length, b"3")], body, False),
        "short": ([(length, b"%d" % (len(body) + 7))], body, False),
        "negative": ([(length, b"-1")], body, False),
        "plus": ([(length, b"+" + size)], body, False),
        "huge": ([(length, b"9" * 40)], body, False),
        "large": ([(length, b"99999999999")], body, False),
        "bad-chunk": ([code], b"zz\r\n" + body, False),
        "huge-chunk": ([code], b"ffffffffffffffffff\r\n" + body, False),
        "gzip": ([(b"Transfer-Encoding", b"gzip, chunked")], chunked, False),
        "identity": ([(b"Transfer-Encoding", b"identity"), (length, size)], body, False),
        "expect": ([(length, size), (b"Expect", b"100-continue")], body, True),
    }[framing]


BODIES = st.one_of(st.just(b""), *map(bodies, KINDS), _envelopes())
QUERIES = _queries()


def requests(target: Target) -> st.SearchStrategy[Sent]:
    """Requests that most servers answer, and others."""
    return _requests(_paths(target), _headers(target))


@st.composite
def _requests(draw: st.DrawFn, paths: st.SearchStrategy[Any], headers: st.SearchStrategy[Any]) -> Sent:
    path, methods = draw(paths)
    method = draw(st.sampled_from([*methods * 4, *METHODS]))
    body = draw(BODIES)
    usual = draw(st.booleans())
    framed, sent, whole = _framed(body, "length" if usual else draw(st.sampled_from(FRAMINGS)))
    query, more = draw(QUERIES), draw(headers)
    head = [(b"Host", b"127.0.0.1"), *framed, *more]
    if usual and body:
        head.append((b"Content-Type", b"application/json"))
    line = method.encode() + b" " + path + (b"?" + query if query else b"")
    text = line + b" HTTP/1.1\r\n" + b"".join(n + b": " + v + b"\r\n" for n, v in head) + b"\r\n"
    # What changes the framing once more may only look whole.
    reframed = any(n.lower() in (b"transfer-encoding", b"connection", b"upgrade") for n, _ in more)
    return Sent(text + sent, whole and not reframed)


def status_of(target: Target, sent: Sent) -> int:
    """The status of the answer, 0 when there is none. Raises AssertionError when a whole request hangs."""
    limit = ANSWER_SECONDS if sent.whole else REFUSAL_SECONDS
    with target.connect(limit) as line:
        with suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(sent.data)
        end, got = time.monotonic() + limit, b""
        while b"\r\n" not in got:
            line.settimeout(max(0.01, end - time.monotonic()))
            try:
                more = line.recv(65536)
            except TimeoutError:
                assert not sent.whole, f"no answer within {limit:g} s to {sent.data[:3000]!r}"
                return 0
            except ConnectionResetError:
                return 0
            if not more:
                return 0
            got += more
    return int(got.split(b" ", 2)[1])


def is_fault(status: int) -> bool:
    """A refusal of what is not built is none, nor is one for lack of room or a provider that is away."""
    return status >= 500 and status not in (501, 503)


def knock(target: Target, search: Search) -> None:
    """Send requests to every endpoint: none is answered with a fault, none hangs."""

    def holds(sent: Sent) -> None:
        status = status_of(target, sent)
        assert not is_fault(status), f"{status} to {sent.data[:5000]!r}"

    search.run(holds, requests(target))
    target.check()
