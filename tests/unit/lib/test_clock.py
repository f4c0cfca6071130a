"""Nanoseconds as RFC 3339 text and back."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.clock import ZERO_TIME, from_rfc3339, now_ns, rfc3339

LAST = 253_402_300_800 * 10**9 - 1  # the end of the year 9999


@given(st.integers(0, LAST))
def test_no_nanosecond_is_lost(ns):
    assert from_rfc3339(rfc3339(ns)) == ns


@given(st.integers(1, LAST))
def test_the_text_is_what_others_read(ns):
    text = rfc3339(ns)
    assert text.endswith("Z") and not text.endswith("0Z" if "." in text else ".Z")
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(ns // 10**9, UTC).replace(microsecond=ns // 1000 % 10**6)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, ZERO_TIME),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (10**9, "1970-01-01T00:00:01Z"),
        (1_767_323_045_678_900_000, "2026-01-02T03:04:05.6789Z"),
        (LAST, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_examples(ns, text):
    assert rfc3339(ns) == text


def test_other_text_is_refused():
    with pytest.raises(ValueError, match="does not match"):
        from_rfc3339("yesterday")


def test_now_is_unix_time():
    before = time.time_ns()
    assert before <= now_ns() <= time.time_ns()
