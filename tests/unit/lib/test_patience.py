"""The decision to try again: by lack of progress, never for longer than patience, as the server asks."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.errors import StorageFailure
from bacalhau.lib.patience import (
    LONGEST_ASKED,
    Effort,
    Fault,
    GaveUp,
    Passing,
    Patience,
    Standstill,
    asked_seconds,
    heard_by,
)
from bacalhau.lib.patience import next_pause as decide

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
BUSY = Fault("the store answers 503")
AT_ONCE = Patience(seconds=60, first=0.0, longest=0.0)
seconds = st.floats(0, 1e6)
patiences = st.builds(Patience, seconds, seconds, st.integers(0, 9), st.floats(0.001, 10), st.floats(0.001, 100))
faults = st.builds(Fault, st.just("x"), seconds, st.booleans())
stills = st.builds(Standstill, seconds, st.integers(0, 10**6), st.booleans())


@given(patiences, faults, stills, st.floats(0, 1))
def test_patience_is_neither_cut_short_nor_overdrawn(patience, fault, still, chance):
    limit = patience.seconds if still.heard else min(patience.seconds, patience.unheard)
    pause = decide(patience, fault, still, chance)
    if pause is None:
        assert still.seconds >= limit and still.failures > patience.attempts
        return
    assert 0 <= pause <= max(patience.longest, LONGEST_ASKED * 1.1)
    if still.seconds < limit:
        assert pause <= limit - still.seconds
    else:
        assert still.failures <= patience.attempts


@given(stills, st.floats(0, 1))
def test_a_store_that_is_away_for_a_minute_is_waited_for(still, chance):
    assert (decide(Patience(), BUSY, still._replace(seconds=60.0, heard=True), chance) or 0) > 0


def test_pauses_grow_to_a_longest_one_and_differ():
    grown = [decide(Patience(), BUSY, Standstill(0, failures, True), 1.0) for failures in (1, 2, 3, 20, 10**6)]
    assert grown == [0.2, 0.4, 0.8, 20.0, 20.0]
    assert decide(Patience(), BUSY, Standstill(0, 20, True), 0.0) == 10.0


def test_a_server_that_asks_for_time_gets_it_within_bounds():
    asked = [decide(Patience(), BUSY._replace(asked=wish), Standstill(0, 1, True), 0.0) for wish in (0, 30, 1e9)]
    assert asked == [0.1, 30, LONGEST_ASKED]


def test_a_server_that_never_answered_is_given_up_sooner():
    away = Standstill(61.0, 30, heard=False)
    assert decide(Patience(), BUSY, away, 0.5) is None
    assert decide(Patience(), BUSY, away._replace(heard=True), 0.5) is not None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", 0.0),
        ("7", 7.0),
        ("99999999999999999999", LONGEST_ASKED),
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9.0),
        (format_datetime(NOW - timedelta(hours=9), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), LONGEST_ASKED),
        ("Sat, 28 Nov 2026 12:00:05", 5.0),
        ("soon", 0.0),
        ("-3", 0.0),
        ("²", 0.0),
    ],
)
def test_retry_after(header, expected):
    assert asked_seconds(header, int(NOW.timestamp()) * 10**9) == expected


async def test_an_effort_goes_on_while_it_comes_forward():
    """A hundred failures end nothing, as long as each attempt came further than the one before."""
    at, notes = 0, []

    async def attempt():
        nonlocal at
        at += 1
        if at < 100:
            raise Passing("broken").because(BUSY)
        return at

    effort = Effort(AT_ONCE._replace(seconds=0, attempts=0), notes.append)
    assert await effort.persist(attempt, lambda: at) == 100
    assert set(notes) == {"the store answers 503, again in 0 s"} and len(notes) == 99


async def test_an_effort_that_stands_still_ends():
    tried = []

    async def attempt():
        tried.append(1)
        raise Passing("s3: busy", hint="wait").because(BUSY)

    with pytest.raises(GaveUp, match=r"^s3: busy \(gave up after 3 attempts\)$") as raised:
        await Effort(AT_ONCE._replace(seconds=0, attempts=2)).persist(attempt)
    assert (raised.value.hint, raised.value.retryable, len(tried)) == ("wait", True, 3)


async def test_what_an_effort_waits_for_is_told_to_those_around_it():
    notes, states = [], [Passing("gone").because(BUSY), None]

    async def attempt():
        if error := states.pop(0):
            raise error

    with heard_by(notes.append):
        await Effort(AT_ONCE).persist(attempt)
    assert notes == ["the store answers 503, again in 0 s"]
    states = [Passing("gone").because(BUSY), None]
    await Effort(AT_ONCE).persist(attempt)
    assert len(notes) == 1


async def test_what_cannot_pass_is_tried_once():
    tried = []

    async def attempt():
        tried.append(1)
        raise StorageFailure("no such key", retryable=True)

    with pytest.raises(StorageFailure, match="no such key"):
        await Effort(AT_ONCE).persist(attempt)
    assert len(tried) == 1


@given(st.integers(0, 2**32))
def test_many_who_failed_together_do_not_come_back_together(seed):
    chances = random.Random(seed)
    pauses = {decide(Patience(), BUSY, Standstill(0, 5, True), chances.random()) for _ in range(50)}
    assert len(pauses) > 40
