"""The frames of a log stream: names and shapes are the original's, so either end may be of another make.

Ours adds a window: a consumer that sends one is never sent more frames than it gave credit for.
"""

from collections.abc import Iterator

import msgspec

from bacalhau.lib.errors import BacalhauError, BadRequest, NotFound, Unavailable
from bacalhau.lib.wire import Model, always, decode

DATA, CLOSE = 1, 2
NORMAL, BAD_DATA, INTERNAL = 1000, 4000, 5000
CHUNK = 64 * 1024  # bytes of text in a frame
WINDOW = 16  # frames under way; credit is given back by halves
HEARTBEAT_SECONDS, HEARTBEAT_LIMIT = 10.0, 5.0


class LogQuery(Model):
    """A request for a log; it travels as base64 in `Open.body`. `tail` means from now on."""

    execution_id: str = always(factory=str)
    node_id: str = always(factory=str)
    tail: bool = always(factory=bool)
    follow: bool = always(factory=bool)


class Open(msgspec.Struct, rename="camel", omit_defaults=True):
    """Asks for a stream; frames go to the reply subject. `window` 0: the consumer takes what comes."""

    consumer_id: str
    stream_id: str
    heart_beat_request_sub: str
    body: bytes
    window: int = 0


class Closing(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`error` (ours) is the code of our error tree."""

    code: int
    text: str = msgspec.field(default_factory=lambda: "")
    error: str = ""


class StreamFrame(msgspec.Struct, rename="camel", omit_defaults=True):
    type: int
    data: bytes = b""
    close_error: Closing | None = None


class _Line(msgspec.Struct, rename="pascal"):
    type: int = 0
    line: str = ""


class _Chunk(msgspec.Struct, omit_defaults=True):
    value: _Line
    err: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class Credit(msgspec.Struct, rename="camel", omit_defaults=True):
    """Ours: `frames` more may be sent; 0: the consumer is gone."""

    stream_id: str
    frames: int = 0


class Heartbeat(msgspec.Struct, rename={"active": "ActiveStreamIds"}):
    """The producer's question: stream ids by the subject they were opened on."""

    active: dict[str, list[str]] = {}


class HeartbeatAnswer(msgspec.Struct, rename={"dead": "NonActiveStreamIds"}):
    """List the streams that nobody reads any more."""

    dead: dict[str, list[str]] | None = None


def data_frames(stream: int, text: str) -> Iterator[bytes]:
    """Encoded frames of at most CHUNK bytes of text each, cut between characters."""
    for part in _parts(text):
        inside = msgspec.json.encode({"value": _Line(stream, part)})
        yield msgspec.json.encode(StreamFrame(DATA, inside))


def _parts(text: str) -> Iterator[str]:
    if len(text) <= CHUNK // 4:
        yield text
        return
    data = text.encode(errors="replace")
    start = 0
    while start < len(data):
        end = min(start + CHUNK, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[start:end].decode()
        start = end


def close_frame(error: BacalhauError | None = None) -> bytes:
    """The last frame, telling why."""
    code = BAD_DATA if isinstance(error, BadRequest) else INTERNAL
    closing = Closing(code, error.message, error.code) if error else Closing(NORMAL)
    return msgspec.json.encode(StreamFrame(CLOSE, close_error=closing))


def read_frame(data: bytes) -> tuple[int, str] | None:
    """(1 stdout | 2 stderr, text), or None at the end.

    Raises the producer's error, or Unavailable for what cannot be read.
    """
    try:
        frame = decode(data, StreamFrame)
        if frame.type == CLOSE:
            _raise_for(frame.close_error or Closing(NORMAL))
            return None
        chunk = decode(frame.data, _Chunk)
    except msgspec.DecodeError as e:
        raise Unavailable(f"a frame of a log stream cannot be read: {e}") from e
    if bytes(chunk.err) not in (b"", b"null"):
        raise Unavailable(f"the node could not read the logs: {bytes(chunk.err).decode(errors='replace')}")
    return chunk.value.type, chunk.value.line


def _raise_for(closing: Closing) -> None:
    if closing.code == NORMAL:
        return
    kinds: dict[str, type[BacalhauError]] = {NotFound.code: NotFound, BadRequest.code: BadRequest}
    raise kinds.get(closing.error, Unavailable)(closing.text or f"the log stream ended with code {closing.code}")
