"""The words by which objects of a source are chosen: what they take, and what is said of wrong ones."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import StorageFailure
from bacalhau.models.job.selection import Choice, Selection, list_given, list_selection_problems, read_time
from bacalhau.models.text.grammar import Options, read_selection

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ({}, {"a.nc", "d/b.nc", "d/c.csv"}),
        ({"include": ("*.nc",)}, {"a.nc", "d/b.nc"}),
        ({"include": ("*.nc", "d/*.csv")}, {"a.nc", "d/b.nc", "d/c.csv"}),
        ({"exclude": ("d/", "nope")}, {"a.nc"}),
        ({"include": ("*.nc",), "exclude": ("b*",)}, {"a.nc"}),
        ({"min_size": "1Kb"}, {"d/b.nc", "d/c.csv"}),
        ({"max_size": "1Ki"}, {"a.nc", "d/b.nc"}),
        ({"min_size": "1000", "max_size": "1000"}, {"d/b.nc"}),
        ({"newer": "7d"}, {"d/b.nc", "d/c.csv"}),
        ({"newer": "3d", "older": "24h"}, {"d/b.nc"}),
        ({"older": "2026-03-08T12:00:00Z"}, {"a.nc"}),
        ({"newer": "2026-03-08T13:00:00+01:00"}, {"d/b.nc", "d/c.csv"}),
        ({"newer": "2026-03-09"}, {"d/c.csv"}),
    ],
)
def test_what_is_taken(wanted, taken):
    choice = Choice(Selection(**wanted), NOW_NS)
    objects = [
        ("a.nc", 10, NOW - timedelta(days=30)),
        ("d/b.nc", 1000, NOW - timedelta(days=2)),
        ("d/c.csv", 2000, NOW - timedelta(hours=1)),
    ]
    assert {path for path, size, modified in objects if choice.takes(path, size, modified)} == taken
    assert list_selection_problems(Selection(**wanted)) == []


def test_what_a_server_does_not_tell_cannot_be_limited():
    with pytest.raises(StorageFailure, match="does not tell of 'x' the size"):
        Choice(Selection(min_size="1"), NOW_NS).takes("x", -1, NOW)
    with pytest.raises(StorageFailure, match="does not tell of 'x' the time of its last change"):
        Choice(Selection(newer="1d"), NOW_NS).takes("x", 1, None)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"include": ("a[",)}, "include is not a list of globs: 'a[': a [ is not closed by a ]"),
        ({"exclude": ("",)}, "exclude is not a list of globs: '': it is empty"),
        ({"min_size": "big"}, "min size 'big' cannot be read: write a number of bytes with its unit"),
        ({"max_size": "-1"}, "max size '-1' cannot be read"),
        ({"min_size": "2Mb", "max_size": "1Mb"}, "min size 2Mb is above max size 1Mb"),
        ({"newer": "yesterday"}, "newer 'yesterday' cannot be read: write a date such as 2026-01-31"),
        ({"newer": "2026-13-01"}, "newer '2026-13-01' cannot be read"),
        ({"older": "2026-01-01T00:00:00"}, "older '2026-01-01T00:00:00' cannot be read"),
        ({"older": "9999999w"}, "older '9999999w' cannot be read"),
        ({"older": "999999w"}, "older '999999w' cannot be read"),
        ({"newer": "1d", "older": "7d"}, "newer 1d is not before older 7d"),
    ],
)
def test_each_problem_names_the_field_the_value_and_the_cure(wanted, problem):
    (said,) = list_selection_problems(Selection(**wanted))
    assert said.startswith(problem)


def test_options_of_lists_come_several_times():
    options = Options()
    for name, value in (("include", "*.nc"), ("include", "*.csv"), ("min-size", "1"), ("min-size", "2"), ("x", "y")):
        options.add(name, value)
    assert read_selection(options) == {"Include": ["*.nc", "*.csv"], "MinSize": "2"}
    assert read_selection({"exclude": "*.tmp"}) == {"Exclude": ["*.tmp"]}
    assert list_given(Selection(include=("a",), min_size="2")) == ["include", "min-size"]


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_none(text):
    with suppress(ValueError):
        assert read_time(text, NOW_NS).tzinfo is not None
