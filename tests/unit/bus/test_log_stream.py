"""Frames as recorded, bounded, and cut between characters."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau.bus.log_stream import CHUNK, close_frame, data_frames, read_frame
from bacalhau.lib.errors import EngineFailure, NotFound, Unavailable

RECORDED = b'{"type":1,"data":"eyJ2YWx1ZSI6eyJUeXBlIjoxLCJMaW5lIjoibGluZSAxXG4ifX0="}'
RECORDED_END = b'{"type":2,"closeError":{"Code":1000,"Text":""}}'


def test_recorded_frames():
    assert read_frame(RECORDED) == (1, "line 1\n")
    assert read_frame(RECORDED_END) is None


def test_ours_are_the_same_bytes():
    assert list(data_frames(1, "line 1\n")) == [RECORDED]
    assert close_frame() == RECORDED_END


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=50), st.integers(1, 8000))
def test_long_text_is_cut_and_whole_again(text, times):
    frames = list(data_frames(2, text * times))
    assert all(len(base64.b64decode(json.loads(frame)["data"])) < 1 << 19 for frame in frames)
    read = [read_frame(frame) for frame in frames]
    assert "".join(found[1] for found in read) == text * times
    assert all(found[0] == 2 and len(found[1].encode()) <= CHUNK for found in read)


@pytest.mark.parametrize(
    ("error", "kind"), [(NotFound("no such execution"), NotFound), (EngineFailure("broken"), Unavailable)]
)
def test_errors_cross(error, kind):
    with pytest.raises(kind, match=error.message):
        read_frame(close_frame(error))


def test_foreign_error_inside_data():
    inside = base64.b64encode(b'{"value":{"Type":0,"Line":""},"err":"no log file"}').decode()
    with pytest.raises(Unavailable, match="no log file"):
        read_frame(json.dumps({"type": 1, "data": inside}).encode())


@pytest.mark.parametrize("noise", [b"", b"{", b'{"type":1,"data":"e30"}', b'{"type":1,"data":"!!"}'])
def test_noise(noise):
    with pytest.raises(Unavailable):
        read_frame(noise)
