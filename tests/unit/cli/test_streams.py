"""Terminals of other locales, closed streams, and bytes that are no text."""

import io
import sys

import pytest

from bacalhau.cli.frame.streams import open_streams, read_stdin, utf8_args
from bacalhau.lib.errors import BadRequest


def test_what_a_stream_cannot_show_is_a_question_mark(monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="latin-1"))
    open_streams()
    sys.stdout.write("h\u00e9 \u2713 \udcff\n")
    sys.stdout.flush()
    assert shown.getvalue() == b"h\xe9 ? ?\n"


def test_a_closed_stream_takes_everything(monkeypatch):
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, None)
    open_streams()
    with sys.stdin, sys.stdout:
        assert sys.stdin.read() == "" and sys.stdout.write("gone") == 4


def test_arguments_are_what_was_typed():
    assert utf8_args(["a", "h\u00e9", "h\udcc3\udca9 \udce2\udc9c\udc93"]) == ["a", "h\u00e9", "h\u00e9 \u2713"]
    with pytest.raises(BadRequest, match=r"argument 'x\\udcff' is no UTF-8 text"):
        utf8_args(["x\udcff"])


def test_stdin_is_text(monkeypatch):
    for data, text in ((b"h\xc3\xa9", "h\u00e9"), (b"", "")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="latin-1"))
        assert read_stdin() == text
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="latin-1"))
    with pytest.raises(BadRequest, match=r"\(stdin\): it is no UTF-8 text"):
        read_stdin()
