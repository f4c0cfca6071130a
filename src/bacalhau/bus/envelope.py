"""The bytes of a message between orchestrator and node: one head byte, a CRC-32, and JSON with metadata and payload.

Pure. Who sends what where is left to the rest of this folder.
"""

import zlib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import msgspec

from bacalhau.border.names import is_identifier, shorten
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import Model, decode, go_escaped
from bacalhau.models.wire.messages import MESSAGE_TYPES

SCHEMA_JSON = 1
HEAD_SIZE = 5

TYPE, ENCODING, SOURCE, EVENT_TIME = (
    "Bacalhau-Type",
    "Bacalhau-PayloadEncoding",
    "Bacalhau-Source",
    "Bacalhau-EventTime",
)
MESSAGE_ID, SEQ_NUM, SUBJECT = "Bacalhau-MessageID", "Bacalhau-SeqNum", "Bacalhau-Subject"
STATUS_CODE, ERROR_CODE = "Bacalhau-StatusCode", "Bacalhau-ErrorCode"
LEGACY_TYPE, LEGACY_ENCODING = "Type", "PayloadEncoding"
_IDS = {
    *("id", "execution_id", "job_id", "node_id", "eval_id", "after", "until", "running_after"),
    *("running", "stop", "ended"),
    *("execution", "job", "node_info", "parts", "ends"),
}
"""Fields of messages that hold an id, several, or a part that has such fields."""


class Envelope(NamedTuple):
    """`payload` is the JSON text of the payload, still encoded; `metadata` holds every key as sent."""

    type: str
    payload: msgspec.Raw
    metadata: dict[str, str]

    @property
    def seq(self) -> int:
        """The sender's sequence number, 0 where it sent none."""
        text = self.metadata.get(SEQ_NUM, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0

    def message(self) -> Model:
        """The payload as its model. Raises BadRequest for an unknown type or a payload that does not fit it."""
        kind = MESSAGE_TYPES.get(self.type)
        if kind is None:
            raise BadRequest(f"unknown message type '{self.type}'")
        try:
            message = decode(bytes(self.payload), kind)
        except msgspec.DecodeError as e:
            raise BadRequest(f"the payload is no {self.type}: {e}") from e
        for field, value in _ids_in(message):
            if not is_identifier(value):
                raise BadRequest(f"{field} of {self.type} must be an id, not {shorten(value)!r}")
        return message


def _ids_in(message: Model) -> Iterator[tuple[str, str]]:
    """Yield the ids in a message with the names of their fields: they become names of folders and subjects."""
    for field in _fields_with_ids(type(message)):
        value = getattr(message, field)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Model):
                yield from _ids_in(each)
            elif each:
                yield field, each


@cache
def _fields_with_ids(kind: type[Model]) -> tuple[str, ...]:
    return tuple(field for field in kind.__struct_fields__ if field in _IDS)


class _Body(msgspec.Struct):
    payload: msgspec.Raw
    metadata: dict[str, str]


def stamp(type_name: str, source: str, now: int, *, seq: int = 0, subject: str = "") -> dict[str, str]:
    """The metadata of a message; `now` in Unix ns. It travels twice: in the envelope and as NATS headers."""
    made = {EVENT_TIME: str(now)}
    if seq:
        made |= {MESSAGE_ID: f"seq-{seq}", SEQ_NUM: str(seq)}
    made |= {ENCODING: "json", SOURCE: source}
    if subject:
        made[SUBJECT] = subject
    return made | {TYPE: type_name, LEGACY_ENCODING: "json", LEGACY_TYPE: type_name}


def pack(payload: bytes, metadata: dict[str, str]) -> bytes:
    """Frame an encoded JSON payload; metadata is sorted, as the original's is."""
    body = go_escaped(b'{"metadata":' + msgspec.json.encode(metadata, order="sorted") + b',"payload":' + payload + b"}")
    return bytes((SCHEMA_JSON,)) + zlib.crc32(body).to_bytes(4, "big") + body


def unpack(data: bytes) -> Envelope:
    """The inverse of `pack`. Raises BadRequest for whatever is not a whole, unharmed envelope with a JSON payload."""
    if len(data) < HEAD_SIZE:
        raise BadRequest(f"a message of {len(data)} bytes is too short for an envelope")
    if data[0] != SCHEMA_JSON:
        raise BadRequest(f"unknown envelope schema {data[0]}")
    body = data[HEAD_SIZE:]
    if zlib.crc32(body) != int.from_bytes(data[1:HEAD_SIZE], "big"):
        raise BadRequest("the checksum of a message does not match its bytes")
    try:
        found = decode(body, _Body)
    except msgspec.DecodeError as e:
        raise BadRequest(f"the envelope is not the JSON it should be: {e}") from e
    metadata = found.metadata
    encoding = metadata.get(ENCODING) or metadata.get(LEGACY_ENCODING, "")
    if encoding != "json":
        raise BadRequest(f"unknown payload encoding '{encoding}'")
    return Envelope(metadata.get(TYPE) or metadata.get(LEGACY_TYPE, ""), found.payload, metadata)
