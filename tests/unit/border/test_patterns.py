"""Patterns of strangers: linear time, RE2's dialect, text that is not UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.border.patterns import LONGEST_PATTERN, Pattern, PatternFault


@pytest.mark.parametrize("text", [r"(a+)+$", r"(a|a)+$", r"(a*)*b", r"(.*)*\.csv$"])
def test_a_pattern_that_would_backtrack_for_ever_answers(text):
    assert Pattern(text).search("a" * 100_000 + "!") is None


@pytest.mark.parametrize("text", ["(" * 3000, "[", r"\1", "(?=a)", "a++", "a{1001}", r"(\pL{200}){5}x"])
def test_what_re2_does_not_take_is_a_fault_with_words(text):
    with pytest.raises(PatternFault, match=r"\w+"):
        Pattern(text)


def test_a_pattern_of_unbounded_length_is_a_fault():
    with pytest.raises(PatternFault, match=f"more than {LONGEST_PATTERN}"):
        Pattern("a" * (LONGEST_PATTERN + 1))


def test_groups_come_after_the_whole():
    assert Pattern("(x)|(é+)").search("aéé\udcff") == ("éé", None, "éé")


@given(st.text(st.characters(exclude_categories=()), max_size=50), st.text(st.characters(exclude_categories=())))
def test_any_text_as_pattern_and_as_key_ends_in_an_answer_or_a_fault(pattern, text):
    try:
        Pattern(pattern).search(text)
    except PatternFault as e:
        assert str(e)
