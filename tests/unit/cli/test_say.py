"""Texts on a terminal: those of strangers escaped, colours of ours as they are, and the room that there is."""

import io
import os
import pty
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.border.names import has_control
from bacalhau.cli.frame.say import in_colour, say, terminal_width


class Terminal(io.StringIO):
    def isatty(self):
        return True


@given(st.text(st.characters(exclude_categories=("Cs",))), st.text(st.characters(exclude_categories=("Cs",))))
def test_only_our_own_colours_reach_the_terminal(title, text):
    stdout, sys.stdout = sys.stdout, Terminal()
    try:
        say(f"{in_colour(title, '1')}{text}", nl=False)
        written = sys.stdout.getvalue()
    finally:
        sys.stdout = stdout
    head, _, rest = written.partition("\x1b[1m")
    head_of_text, end, tail = rest.partition("\x1b[0m")
    assert head == "" and end
    assert not has_control((head_of_text + tail).replace("\n", "").replace("\t", ""))


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    with os.fdopen(ours), os.fdopen(theirs, "w") as stream:
        yield stream


def test_a_terminals_columns(terminal, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    termios.tcsetwinsize(terminal.fileno(), (24, 60))
    assert terminal_width(terminal) == 60
    monkeypatch.setenv("COLUMNS", "100")
    assert terminal_width(terminal) == 100


def test_a_pipe_has_no_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert terminal_width(io.StringIO()) == 0
