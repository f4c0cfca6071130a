"""Names of strangers as paths, as identifiers and on a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.border.names import has_control, is_identifier, name_fault, shown, twins

anything = st.text(st.characters(exclude_categories=()))


@given(anything)
def test_shown_text_moves_no_cursor_and_hides_nothing(text):
    assert not has_control(shown(text).replace("\n", "").replace("\t", ""))


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_ordinary_text_is_shown_as_it_is(text):
    assert shown(text) == text


def test_escapes_are_seen_as_what_they_are():
    assert shown("\x1b[2Jjob\r\u202etxt") == r"\x1b[2Jjob\r\u202etxt"


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "../x", "a\nb", "\x1b[m", "j-../../evil", "a..b", "x" * 300, "é"]
)
def test_no_identifier(text):
    assert not is_identifier(text)


@pytest.mark.parametrize("text", ["j-78faf114", "default", "n-1", "my_job.v2", "team:a@b", "QmNode"])
def test_identifiers(text):
    assert is_identifier(text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "nul\0", "line\n", "\x1b[2J", "x" * 256, "é" * 128])
def test_names_that_can_be_no_file_are_told_why(name):
    assert name_fault(name)


@pytest.mark.parametrize("name", ["a", "...", ".bashrc", "tab\t", "ünï", "x" * 255, "\udcff"])
def test_names_of_files(name):
    assert name_fault(name) == ""


@pytest.mark.parametrize("pair", [("Data", "data"), ("é", "e\u0301"), ("STRASSE", "straße")])
def test_names_that_some_file_systems_take_for_one(pair):
    assert twins(["other", *pair]) == pair
    assert twins(["one", "two"]) is None
