"""Frames recorded from the original decode here, and what we frame has the same bytes."""

import json
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.bus.envelope import pack, stamp, unpack
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.wire import encode
from bacalhau.models.wire.messages import AskForBid, RunResult

FRAMES = [json.loads(line) for line in (Path(__file__).parent / "frames.jsonl").read_text().splitlines()]


def framed(frame: dict) -> bytes:
    return bytes.fromhex(frame["frame_head_hex"]) + frame["payload"].encode()


def headers(frame: dict) -> dict[str, str]:
    lines = frame["headers"].strip().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


def without_empty(value):
    """Absent and empty are the same to both programs, and so is the network type that absence means."""
    if isinstance(value, dict):
        return {
            k: v
            for k, v in ((k, without_empty(v)) for k, v in value.items())
            if v not in ({}, [], None, "", 0, False, {"Type": "Default"})
        }
    return [without_empty(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: json.loads(f["payload"])["metadata"]["Type"])
class TestRecorded:
    def test_decodes(self, frame):
        envelope = unpack(framed(frame))
        assert envelope.type == json.loads(frame["payload"])["metadata"]["Type"]
        assert envelope.metadata == headers(frame)
        envelope.message()

    def test_pack_gives_the_same_bytes(self, frame):
        envelope = unpack(framed(frame))
        assert pack(bytes(envelope.payload), envelope.metadata) == framed(frame)

    def test_model_says_the_same(self, frame):
        envelope = unpack(framed(frame))
        again = unpack(pack(encode(envelope.message()), envelope.metadata))
        assert without_empty(json.loads(bytes(again.payload))) == without_empty(json.loads(bytes(envelope.payload)))

    def test_stamp_has_the_same_keys(self, frame):
        envelope = unpack(framed(frame))
        told = envelope.metadata
        made = stamp(
            envelope.type, told["Bacalhau-Source"], 1, seq=envelope.seq, subject=told.get("Bacalhau-Subject", "")
        )
        assert set(told) - {"Bacalhau-StatusCode", "Bacalhau-ErrorCode"} == set(made)
        assert {k: v for k, v in made.items() if k != "Bacalhau-EventTime"}.items() <= told.items()


def test_ask_for_bid_carries_the_job():
    frame = next(f for f in FRAMES if '"AskForBid"' in f["payload"])
    message = unpack(framed(frame)).message()
    assert isinstance(message, AskForBid)
    assert message.execution.id.startswith("e-")
    assert message.execution.job is not None and message.execution.job.id == message.execution.job_id


def test_run_result_seq():
    frame = next(f for f in FRAMES if '"RunResult"' in f["payload"])
    envelope = unpack(framed(frame))
    assert isinstance(envelope.message(), RunResult)
    assert envelope.metadata["Bacalhau-MessageID"] == f"seq-{envelope.seq}"


def body_framed(body: bytes) -> bytes:
    return b"\x01" + zlib.crc32(body).to_bytes(4, "big") + body


GOOD = pack(b"{}", stamp("BidAccepted", "n", 1))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "too short"),
        (b"\x01abc", "too short"),
        (b"\x02" + GOOD[1:], "schema 2"),
        (GOOD[:-1] + b"]", "checksum"),
        (b"\x01\0\0\0\0" + GOOD[5:], "checksum"),
        (body_framed(b"{"), "JSON"),
        (
            body_framed(
                b'{"metadata":{"Bacalhau-Type":"BidAccepted","Bacalhau-PayloadEncoding":"protobuf"},"payload":{}}'
            ),
            "encoding 'protobuf'",
        ),
        (body_framed(b'{"metadata":{"Bacalhau-Type":"BidAccepted"},"payload":{}}'), "encoding ''"),
        (body_framed(b'{"metadata":{"Bacalhau-Type":"\xff"},"payload":{}}'), "UTF-8"),
        (body_framed(b'{"metadata":{},"payload":' + b"[" * 5000 + b"]" * 5000 + b"}"), "too deep"),
    ],
)
def test_refused(data, says):
    with pytest.raises(BadRequest, match=says):
        unpack(data)


@pytest.mark.parametrize(
    ("type_name", "payload"),
    [
        ("Nonsense", b"{}"),
        ("BidAccepted", b'{"Accepted":"perhaps"}'),
        ("BidAccepted", b"3"),
        ("BidAccepted", b'{"ExecutionID":"\xff"}'),
    ],
)
def test_payload_refused(type_name, payload):
    with pytest.raises(BadRequest, match=type_name):
        unpack(pack(payload, stamp(type_name, "n", 1))).message()


def test_legacy_keys_suffice():
    data = body_framed(b'{"metadata":{"Type":"BidAccepted","PayloadEncoding":"json"},"payload":{"ExecutionID":"e"}}')
    assert unpack(data).message().execution_id == "e"


@pytest.mark.parametrize("text", ["", "-1", "x", "9" * 5000, "\u0667"])
def test_a_strange_number_is_none(text):
    assert unpack(pack(b"{}", stamp("BidAccepted", "n", 1) | {"Bacalhau-SeqNum": text})).seq == 0


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_any_text_survives_and_is_escaped(metadata, text):
    data = pack(msgspec.json.encode({"t": text}), metadata | {"Type": "x", "PayloadEncoding": "json"})
    assert not set("<>&\u2028\u2029") & set(data[5:].decode())
    envelope = unpack(data)
    assert json.loads(bytes(envelope.payload)) == {"t": text}
    assert metadata.items() <= envelope.metadata.items() | {
        ("Type", metadata.get("Type")),
        ("PayloadEncoding", metadata.get("PayloadEncoding")),
    }


@given(st.binary())
def test_noise_is_refused_not_crashed_on(data):
    with pytest.raises(BadRequest):
        unpack(data)
