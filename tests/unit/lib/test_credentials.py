"""Passwords in URLs, in every text that people or programs get to see."""

import io
import json
import logging
import sys

import pytest

from bacalhau.api.http.errors import envelope
from bacalhau.cli.frame.program import run
from bacalhau.cli.frame.report import say_error, say_warning
from bacalhau.lib.credentials import without_credentials
from bacalhau.lib.errors import BadRequest
from bacalhau.lib.log import set_up_logging

URL = "https://user:pazz@host:1/x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"cannot reach {URL}?at=@: gone", "cannot reach https://host:1/x?at=@: gone"),
        ("nats://a:b@h:1,nats://c@i", "nats://h:1,nats://i"),
        ("https://u:p@ss@h", "https://h"),
        ("https://h?mail=a@b", "https://h?mail=a@b"),
        ("https://h#a@b", "https://h#a@b"),
        ('{"URL":"http://h:1","Mail":"a@b"}', '{"URL":"http://h:1","Mail":"a@b"}'),
        ("http://h a@b", "http://h a@b"),
    ],
)
def test_names_and_passwords_are_taken_out(text, shown):
    assert without_credentials(text) == shown


def test_errors_and_warnings_of_the_command_line(capsys):
    say_error(f"cannot reach {URL}", f"try {URL}")
    say_warning(f"{URL} is slow")
    told = capsys.readouterr().err
    assert told.count("https://host:1/x") == 3 and "pazz" not in told


def test_errors_of_the_api():
    body = envelope(BadRequest(f"no {URL}", hint=f"try {URL}"))
    assert (body.message, body.hint) == ("no https://host:1/x", "try https://host:1/x")


@pytest.mark.parametrize("mode", ["default", "json"])
def test_lines_of_the_log(monkeypatch, mode):
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    try:
        set_up_logging("info", mode, str)
        try:
            raise ValueError(URL)
        except ValueError:
            logging.getLogger("x").exception("no %s", URL)
        written = sys.stderr.getvalue()
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    assert "no https://host:1/x" in written and "pazz" not in written and "ValueError" in written
    assert mode == "default" or json.loads(written)["message"] == "no https://host:1/x"


def test_profiles_and_the_configuration(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BACALHAU_DIR", str(tmp_path))
    monkeypatch.setenv("BACALHAU_API_HOST", URL)
    assert run(["profile", "save", "mine", "--endpoint", URL, "--select"]) == 0
    for command in (["profile", "list"], ["profile", "list", "--output", "json"], ["profile", "show"]):
        assert run(command) == 0
    for output in ("table", "json", "yaml", "csv"):
        assert run(["config", "list", "--output", output]) == 0
    told = capsys.readouterr()
    assert "https://host:1/x" in told.out and "pazz" not in told.out + told.err
    assert "user:pazz" in (tmp_path / "profiles" / "mine.yaml").read_text()
