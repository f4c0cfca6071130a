"""Reading data URLs."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.inline.data_url import Content, check_source, parse_data_url


def inline(**params: object) -> list[str]:
    return check_source(SpecConfig(type="inline", params=params))


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("data:,A%20brief%20note", Content("text/plain", b"A brief note")),
        ("data:,", Content("text/plain", b"")),
        ("data:text/csv;charset=utf-8,a,b", Content("text/csv", b"a,b")),
        ("data:;base64,aGk=", Content("text/plain", b"hi")),
        ("DATA:Text/Plain;charset=x;BASE64,aGk%3D", Content("text/plain", b"hi")),
        ("data:image/png;base64,aG\nk=", Content("image/png", b"hi")),
        ("data:,%ff%00", Content("text/plain", b"\xff\0")),
        (" data:,x ", Content("text/plain", b"x")),
    ],
)
def test_reading(text, content):
    assert parse_data_url(text) == content


@given(st.binary(max_size=200))
def test_any_bytes_come_back(data):
    assert parse_data_url("data:application/octet-stream;base64," + base64.b64encode(data).decode()).data == data
    assert parse_data_url("data:," + "".join(f"%{byte:02x}" for byte in data)).data == data


def test_gzip_is_an_archive():
    assert [Content(media, b"").is_archive for media in ("application/gzip", "application/x-gzip", "text/plain")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "URL cannot be empty"),
        ({"URL": []}, "field 'URL': expected `str`, got `array`"),
        ({"URL": "http://h/f,x"}, "is not a data URL"),
        ({"URL": "data:text/plain"}, "is not a data URL"),
        ({"URL": "data:;base64,a"}, "is not valid base64"),
        ({"URL": "data:;base64,é"}, "is not valid base64"),
        ({"URL": "nothing" * 1000}, "nothingn...' is not a data URL"),
    ],
)
def test_bad_parameters(params, problem):
    found = inline(**params)
    assert len(found) == 1
    assert found[0].startswith("invalid inline storage params: ")
    assert problem in found[0]
    assert len(found[0]) < 250
