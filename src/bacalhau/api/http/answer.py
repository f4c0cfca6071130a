"""How a value becomes the body of an answer: compact JSON in struct order with a newline at its end.

`<`, `>` and `&` are escaped, as clients of this API are used to; plain answers (download links) leave them readable.
"""

from typing import Any

import msgspec
from litestar import Response

from bacalhau.lib.wire import go_escaped

JSON = "application/json"


def go_json(value: Any) -> bytes:
    return go_escaped(msgspec.json.encode(value)) + b"\n"


class Answer(Response[Any]):
    """What handlers' return values become."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return content if isinstance(content, bytes) else go_json(content)


class PlainAnswer(Answer):
    """Without the escapes."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        return msgspec.json.encode(content) + b"\n"
