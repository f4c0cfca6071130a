"""The bodies of answers: compact JSON in struct order with a newline at its end.

`<`, `>` and `&` are escaped, as clients of this API are used to; plain answers (download links) leave them readable.
A long list is encoded and sent in pieces, between which the event loop goes on; what of it is not read yet
(`send_after`) is read when it is its turn.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from secrets import token_hex
from typing import Any, NamedTuple, cast

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from bacalhau.lib.wire import go_escaped

JSON = "application/json"
PRETTY = "bacalhau.pretty"  # in a request's scope: the answer is to be laid out with two spaces
REST = "bacalhau.rest"  # in a request's scope: what a list of its answer goes on with
LINES = "bacalhau.lines"  # in a request's scope: JSON Lines that are its answer, in pieces
JSON_LINES = b"application/x-ndjson"
SLICE = 100  # items of a list that are encoded at once: about a millisecond
_HOLE = b'"%s"' % token_hex(16).encode()  # where a list is missing; no text of a user can hold it


class Rest(NamedTuple):
    """The part of a list that comes after its first items, read some at a time."""

    first: tuple[Any, ...]
    others: AsyncIterator[Sequence[Any]]


def send_after(request: Request[Any, Any, Any], first: tuple[Any, ...], others: AsyncIterator[Sequence[Any]]) -> None:
    """Have the answer to a request continue the list `first`, which its body holds, with others."""
    cast(dict[str, Any], request.scope)[REST] = Rest(first, others)


async def send_lines(request: Request[Any, Any, Any], pieces: AsyncIterator[bytes]) -> None:
    """Have the answer to a request be JSON Lines, sent as they are made. Raises what their first piece raises: then
    there can be an error instead of an answer that breaks off.
    """
    first = await anext(pieces, b"")
    cast(dict[str, Any], request.scope)[LINES] = _chain(first, pieces)


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


class _List(NamedTuple):
    """A list that is encoded piece by piece; `depth` counts the objects that it is in."""

    items: Sequence[Any]
    depth: int
    others: AsyncIterator[Sequence[Any]] | None = None

    async def slices(self) -> AsyncIterator[Sequence[Any]]:
        """Yield the items, SLICE at most at once."""
        for start in range(0, len(self.items), SLICE):
            yield self.items[start : start + SLICE]
        if self.others is not None:
            async for some in self.others:
                for start in range(0, len(some), SLICE):
                    yield some[start : start + SLICE]


def go_json(value: Any) -> bytes:
    return go_escaped(msgspec.json.encode(value)) + b"\n"


class Answer(Response[Any]):
    """An answer made from the value that a handler returns. It has no headers and cookies of its own."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return content if isinstance(content, bytes) else go_json(content)

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **others: Any) -> ASGIResponse:
        if lines := cast(dict[str, Any], request.scope).get(LINES):
            return _InPieces(self.status_code or 200, [b"", b""], [lines], JSON_LINES)
        lists: list[_List] = []
        frame = self.render(_hollow(self.content, lists, cast(dict[str, Any], request.scope).get(REST)), JSON)
        if not lists:
            return _Whole(self.status_code or 200, frame)
        indent = 2 if request.scope.get(PRETTY) else 0
        texts = _laid_out(frame, indent).split(_HOLE)
        return _InPieces(self.status_code or 200, texts, [self._pieces(found, indent) for found in lists])

    async def _pieces(self, found: _List, indent: int) -> AsyncIterator[bytes]:
        """Encode a long list piece by piece, as the pieces are asked for."""
        margin, before = b"\n" + b" " * indent * found.depth, b"["
        async for items in found.slices():
            text = _laid_out(self.render(items, JSON), indent).strip()[1:-1].rstrip()
            yield before + (text.replace(b"\n", margin) if indent else text)
            before = b","
        end = margin + b"]" if indent else b"]"
        yield end if before == b"," else b"[]"


class PlainAnswer(Answer):
    """An answer in which `<`, `>` and `&` stay as they are."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return msgspec.json.encode(content) + b"\n"


def _laid_out(text: bytes, indent: int) -> bytes:
    return msgspec.json.format(text, indent=indent) + b"\n" if indent else text


def _hollow(value: Any, lists: list[_List], rest: Rest | None, depth: int = 1) -> Any:
    """Take long lists out of a body and of the bodies in it, in the order in which they are written; holes are left."""
    if not isinstance(value, msgspec.Struct):
        return value
    changed: dict[str, Any] = {}
    for name in value.__struct_fields__:
        field = getattr(value, name)
        if rest is not None and field is rest.first:
            lists.append(_List(field, depth, rest.others))
            changed[name] = msgspec.Raw(_HOLE)
        elif isinstance(field, tuple) and len(field) > SLICE:
            lists.append(_List(field, depth))
            changed[name] = msgspec.Raw(_HOLE)
        elif depth == 1 and (inner := _hollow(field, lists, rest, 2)) is not field:
            changed[name] = inner
    return msgspec.structs.replace(value, **changed) if changed else value


class _Whole(ASGIResponse):
    """JSON text with the two headers that it needs. The framework's own class costs several times as much."""

    def __init__(self, status: int, text: bytes) -> None:
        self.status_code, self.body = status, text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


class _InPieces(ASGIResponse):
    """JSON text of which a long list comes, in pieces, between each two of `texts`. Its length is not known before."""

    def __init__(
        self, status: int, texts: list[bytes], lists: list[AsyncIterator[bytes]], kind: bytes = JSON.encode()
    ) -> None:
        self.status_code, self._texts, self._lists, self._kind = status, texts, lists, kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self._kind)]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        async for piece in self._all():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _all(self) -> AsyncIterator[bytes]:
        for text, pieces in zip(self._texts, self._lists, strict=False):
            yield text
            async for piece in pieces:
                yield piece
        yield self._texts[-1]
