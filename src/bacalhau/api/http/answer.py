"""The bodies of answers: compact JSON in struct order with a newline at its end.

`<`, `>` and `&` are escaped, as clients of this API are used to; plain answers (download links) leave them readable.
"""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from bacalhau.lib.wire import go_escaped

JSON = "application/json"


def go_json(value: Any) -> bytes:
    return go_escaped(msgspec.json.encode(value)) + b"\n"


class Answer(Response[Any]):
    """An answer made from the value that a handler returns. It has no headers and cookies of its own."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return content if isinstance(content, bytes) else go_json(content)

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **others: Any) -> ASGIResponse:
        return _Encoded(self.status_code or 200, self.render(self.content, JSON))


class PlainAnswer(Answer):
    """An answer in which `<`, `>` and `&` stay as they are."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return msgspec.json.encode(content) + b"\n"


class _Encoded(ASGIResponse):
    """JSON text with the two headers that it needs. The framework's own class costs several times as much."""

    def __init__(self, status: int, text: bytes) -> None:
        self.status_code, self.body = status, text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})
