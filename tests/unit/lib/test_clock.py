"""Nanoseconds as RFC 3339 text and back."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.clock import CATCH_UP, ZERO_TIME, SmoothClock, from_rfc3339, now_ns, rfc3339

LAST = 253_402_300_800 * 10**9 - 1  # the end of the year 9999


@given(st.integers(0, LAST))
def test_no_nanosecond_is_lost(ns):
    assert from_rfc3339(rfc3339(ns)) == ns


@given(st.integers(1, LAST))
def test_the_text_is_what_others_read(ns):
    text = rfc3339(ns)
    assert text.endswith("Z") and not text.endswith("0Z" if "." in text else ".Z")
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(ns // 10**9, UTC).replace(
        microsecond=ns // 1000 % 10**6
    )


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


SECOND = 10**9
HOUR = 3600 * SECOND


def test_now_is_unix_time():
    assert abs(time.time_ns() - now_ns()) < SECOND


class Machine:
    """Its two clocks, in ns."""

    def __init__(self, wall=1_800_000_000 * SECOND):
        self.wall, self.steady = wall, 5 * SECOND
        self.clock = SmoothClock(lambda: self.wall, lambda: self.steady)

    def goes_by(self, ns, steps=100):
        for _ in range(steps):
            self.wall += ns // steps
            self.steady += ns // steps
            self.clock.now()
        return self.clock.now()


def test_without_jumps_it_is_the_machines_clock():
    machine = Machine()
    assert machine.goes_by(HOUR) == machine.wall


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 23 * HOUR, -23 * HOUR, -25 * HOUR, -500_000 * HOUR])
def test_a_jump_neither_ends_a_time_limit_nor_makes_it_last(jump):
    machine = Machine()
    began = machine.clock.now()
    machine.wall += jump
    assert machine.clock.now() == began
    assert 57 * SECOND <= machine.goes_by(60 * SECOND) - began <= 63 * SECOND


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_is_followed_in_time(jump):
    machine = Machine()
    machine.wall += jump
    assert machine.goes_by(19 * HOUR) != machine.wall
    assert machine.goes_by(2 * HOUR) == machine.wall


def test_a_machine_that_had_no_clock_gets_one():
    machine = Machine(wall=0)
    machine.wall = 1_800_000_000 * SECOND
    assert machine.clock.now() == machine.wall


@given(st.lists(st.tuples(st.integers(0, HOUR), st.integers(-(10**6) * HOUR, 10**6 * HOUR)), max_size=30))
def test_it_never_goes_back_and_no_timer_waits_for_it_to_catch_up(steps):
    machine = Machine()
    before = machine.clock.now()
    for passed, jump in steps:
        machine.steady += passed
        machine.wall += passed + jump
        now = machine.clock.now()
        assert now >= before + passed - passed // CATCH_UP
        before = now
