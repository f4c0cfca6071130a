"""Which URLs a job may name."""

import pytest

from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BadRequest
from bacalhau.models.job.spec import SpecConfig
from bacalhau.plugins.uris import parse_input
from bacalhau.plugins.url.params import check_source, read_url

PREFIX = "invalid url storage params: "


def url(**params: object) -> list[str]:
    return check_source(SpecConfig(type="urlDownload", params=params))


@pytest.mark.parametrize(
    "text", ["http://h/f", "https://h:8443/a/b?c=d", "http://h/", "http://[::1]:9/f", "https://bücher.example/ä b"]
)
def test_good_urls(text):
    assert url(URL=text) == []


def test_spaces_and_quotes_around_it_fall_off():
    assert read_url(SpecConfig(type="urlDownload", params={"url": ' "http://h/f" '})) == "http://h/f"


def test_what_the_command_line_makes_is_good():
    assert check_source(parse_input("http://127.0.0.1:8000/file.txt:/in").source) == []


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "URL cannot be empty"),
        ({"URL": None}, "URL cannot be empty"),
        ({"URL": " '' "}, "URL cannot be empty"),
        ({"URL": [3]}, "field 'URL': expected `str`, got `array` (value: [3])"),
        ({"URL": "http://h"}, "URL must end with a file name: http://h"),
        ({"URL": "ftp://h/f"}, "URLs must begin with 'http' or 'https'. The submitted one began with ftp"),
        ({"URL": "h/f"}, "URLs must begin with 'http' or 'https'. The submitted one began with 'h/f'"),
        ({"URL": "http:///f"}, "has no host"),
        ({"URL": "http://h:99999/f"}, "is not a URL"),
        ({"URL": "http://[::1/f"}, "is not a URL"),
    ],
)
def test_bad_urls(params, problem):
    found = url(**params)
    assert len(found) == 1
    assert found[0].startswith(PREFIX)
    assert problem in found[0]


def test_a_reader_gets_the_problems():
    with pytest.raises(BadRequest, match="URL cannot be empty"):
        read_url(SpecConfig(type="urlDownload", params={"a": 1, "b": 2}))


def test_a_password_is_not_without_credentials():
    assert without_credentials("http://user:secret@h/f?at=@") == "http://h/f?at=@"
    assert without_credentials("http://h/a@b") == "http://h/a@b"
