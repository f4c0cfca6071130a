"""Phrases that servers want signed: nothing is signed that could be read as a request."""

import base64

import pytest

from bacalhau.client.challenge import introduce
from bacalhau.lib.errors import Unauthorized
from bacalhau.lib.wire import decode, encode
from bacalhau.models.wire.introduction import CHALLENGE, PHRASE, ListMethodsResponse

REQUEST = b'{"ClientID":"c","JobID":"j-1","Reason":"x"}'


def offered(phrase):
    text = base64.b64encode(phrase).decode()
    return decode(
        encode({"Methods": {"clientkey": {"type": CHALLENGE, "params": {PHRASE: text}}}}), ListMethodsResponse
    )


@pytest.mark.parametrize("phrase", [REQUEST, b"[1]", b'"x"', b"", b"a" * 257, b"\x00\x01", b"two words", "ä".encode()])
def test_only_a_phrase_is_signed(tmp_path, phrase):
    with pytest.raises(Unauthorized, match="no phrase"):
        introduce(offered(phrase), tmp_path)


def test_a_phrase_is_signed(tmp_path):
    assert introduce(offered(b"n-1234.example:1"), tmp_path)
