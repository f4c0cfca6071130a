"""Names of strangers as paths, as identifiers and on a terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.border.names import (
    clash,
    escaped,
    has_control,
    is_identifier,
    is_name,
    name_fault,
    path_fault,
    plain_name,
    shown,
    starts_identifier,
)

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
    "text",
    ["", ".", "..", "a/b", "../x", "a\nb", "\x1b[m", "j-../../evil", "a..b", "x" * 300, "-a", "a_", "a b", "a\u200b"],
)
def test_no_identifier(text):
    assert not is_identifier(text)


@pytest.mark.parametrize("text", ["j-78faf114", "default", "n-1", "my_job.v2", "team:a@b", "QmNode", "é"])
def test_identifiers(text):
    assert is_identifier(text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "nul\0", "line\n", "\x1b[2J", "x" * 256, "é" * 128])
def test_names_that_can_be_no_file_are_told_why(name):
    assert name_fault(name)


@pytest.mark.parametrize("name", ["a", "...", ".bashrc", "tab\t", "ünï", "x" * 255, "\udcff"])
def test_names_of_files(name):
    assert name_fault(name) == ""


@given(anything)
def test_an_identifier_is_one_part_of_a_path(text):
    if is_identifier(text):
        assert name_fault(text) == "" and not has_control(text) and starts_identifier(text[: len(text) // 2 + 1])


@pytest.mark.parametrize("text", ["j-", "j-1234", "n-8a9a051c-", "e-1"])
def test_beginnings_of_ids(text):
    assert starts_identifier(text)


@pytest.mark.parametrize("text", ["", "team/nightly run", "équipe 7", "a..b", "*", "a<b>&c", "..."])
def test_names_of_jobs_and_namespaces(text):
    assert is_name(text)


@pytest.mark.parametrize("text", ["..", ".", "j-../../../evil", "a/./b", "/..", "a\x1b[m", "a\nb", "\u202e"])
def test_names_that_nobody_may_use(text):
    assert not is_name(text)


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_json_escapes_change_nothing(text):
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


@given(anything)
def test_a_plain_name_is_none_or_one_of_a_file(text):
    name = plain_name(text)
    assert name == "" or name_fault(name) == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b.txt", "b.txt"),
        ("C:\\x\\y.txt", "y.txt"),
        ("..", ""),
        ("a/", ""),
        (" \x1b[2Ja\n ", "[2Ja"),
        ("é" * 200, "é" * 127),
    ],
)
def test_plain_names(text, name):
    assert plain_name(text) == name


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a/../b", "a/\n", "x" * 256 + "/a", "ab/" * 1400 + "a"])
def test_paths_that_can_be_no_file_are_told_why(path):
    assert path_fault(path)


parts = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)


@given(st.lists(parts, max_size=6))
def test_paths_clash_where_one_is_twice_or_a_folder_of_another(paths):
    pairs = [(a, b) for i, a in enumerate(paths) for j, b in enumerate(paths) if i != j]
    clashing = [(a, b) for a, b in pairs if a == b or b.startswith(a + "/")]
    found = clash(paths)
    assert found in clashing if clashing else found is None
