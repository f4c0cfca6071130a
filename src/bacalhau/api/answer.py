"""How a value becomes the body of an answer: compact JSON in struct order with a newline at its end.

`<`, `>` and `&` are escaped, as clients of this API are used to; plain answers (download links) leave them readable.
"""

from typing import Any

import msgspec
from litestar import Response

JSON = "application/json"

_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def go_json(value: Any) -> bytes:
    data = msgspec.json.encode(value)
    for raw, escaped in _ESCAPES:
        if raw in data:
            data = data.replace(raw, escaped)
    return data + b"\n"


class Answer(Response[Any]):
    """What handlers' return values become."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return content if isinstance(content, bytes) else go_json(content)


class PlainAnswer(Answer):
    """Without the escapes."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return msgspec.json.encode(content) + b"\n"
