"""Globs of strangers: what each sign stands for, the folders that need not be looked into, and bounds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.border.globs import LONGEST_GLOB, MOST_GLOBS, Globs, KeyGlob
from bacalhau.border.patterns import PatternFault


@pytest.mark.parametrize(
    ("glob", "name", "does"),
    [
        ("2024-*/raw/**/*.nc", "2024-01/raw/a/b/x.nc", True),
        ("2024-*/raw/**/*.nc", "2024-01/raw/x.nc", True),
        ("2024-*/raw/**/*.nc", "2024-01/02/raw/x.nc", False),
        ("2024-*/raw/**/*.nc", "2024-01/rawx.nc", False),
        ("**/x", "x", True),
        ("**/x", "a/b/x", True),
        ("**/x", "ax", False),
        ("a**b", "a/c/b", True),
        ("a**", "a", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("*", "line\nbreak", True),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("[!a]x", "/x", False),
        ("a[+-9]b", "a/b", False),
        ("a[+-9]b", "a.b", True),
        ("a[+-9]b", "a0b", True),
        ("[]x]", "]", True),
        ("[*]", "*", True),
        ("[*]", "a", False),
        ("[[]", "[", True),
        ("[a-]", "-", True),
        ("(a)+.{2}\\", "(a)+.{2}\\", True),
        ("é*", "éü", True),
        ("A*", "ab", False),
    ],
)
def test_what_stands_for_what(glob, name, does):
    assert KeyGlob(glob).matches(name) is does


@pytest.mark.parametrize(
    ("glob", "path", "does"),
    [
        ("*.nc", "a/b/x.nc", True),
        ("*.nc", "x.nc", True),
        ("/*.nc", "a/x.nc", False),
        ("/*.nc", "x.nc", True),
        ("a/*.nc", "a/x.nc", True),
        ("a/*.nc", "b/a/x.nc", False),
        ("tmp/", "a/tmp/x/y", True),
        ("tmp/", "tmp", False),
        ("a/tmp/", "a/tmp/x", True),
        ("a/tmp/", "b/a/tmp/x", False),
    ],
)
def test_where_in_a_path_a_glob_of_a_list_is_for(glob, path, does):
    assert Globs(["never", glob]).match_any(path) is does


@pytest.mark.parametrize(
    ("glob", "folder", "start"),
    [
        ("2024-*/raw/**/*.nc", "2024-01/", "2024-01/raw/"),
        ("2024-*/raw/**/*.nc", "2023-01/", ""),
        ("2024-*/raw/**/*.nc", "2024-01/raw/", "2024-01/raw/"),
        ("2024-*/raw/**/*.nc", "2024-01/raw/deep/er/", "2024-01/raw/deep/er/"),
        ("2024-*/raw/**/*.nc", "2024-01/tmp/", ""),
        ("a/*/x-?", "a/b/", "a/b/x-"),
        ("a/*", "a/b/", ""),
        ("a/b**", "a/bc/", "a/bc/"),
        ("a**/c", "b/", "b/"),
    ],
)
def test_the_folders_below_which_a_match_may_be(glob, folder, start):
    assert KeyGlob(glob).narrow(folder) == start


NAMES = st.text(st.sampled_from("ab/"), max_size=8)
GLOBS = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", "[ab]", "[!a]"]), max_size=6).map("".join)


@given(GLOBS, NAMES)
def test_no_folder_is_left_out_that_holds_a_match(glob, name):
    found = KeyGlob(glob)
    assert found.matches(name) is False or name.startswith(found.start)
    for slash in re.finditer("/", name):
        start = found.narrow(name[: slash.end()])
        if found.matches(name):
            assert start and name.startswith(start)


@pytest.mark.parametrize(
    ("glob", "words"),
    [
        ("a[b", r"is not closed by a \]: write \[\[\]"),
        ("[z-a]", "z-a goes backwards"),
        ("[/]", "stands for no character"),
        ("a" * (LONGEST_GLOB + 1), f"more than {LONGEST_GLOB}"),
    ],
)
def test_what_is_no_glob_is_a_fault_with_words(glob, words):
    with pytest.raises(PatternFault, match=words):
        KeyGlob(glob)
    with pytest.raises(PatternFault, match=f"^'.*{words}"):
        Globs(["*", glob])


def test_lists_are_bounded_and_hold_no_empty_glob():
    with pytest.raises(PatternFault, match=f"more than {MOST_GLOBS}"):
        Globs(["a"] * (MOST_GLOBS + 1))
    with pytest.raises(PatternFault, match="together they are too long"):
        Globs(["a" * 1000] * 5)
    with pytest.raises(PatternFault, match="it is empty"):
        Globs([""])


@given(st.text(st.characters(exclude_categories=()), max_size=40), st.text(st.characters(exclude_categories=())))
def test_any_text_as_glob_and_as_name_ends_in_an_answer_or_a_fault(glob, name):
    try:
        KeyGlob(glob).matches(name)
        Globs([glob]).match_any(name)
        KeyGlob(glob).narrow(name + "/")
    except PatternFault as e:
        assert str(e)
