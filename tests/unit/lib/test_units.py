"""Quantities as users write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.units import parse_bytes, parse_cpu, parse_duration, show_bytes, show_duration


@pytest.mark.parametrize(("text", "cores"), [("2", 2), ("0.5", 0.5), ("500m", 0.5), (" 1 M ", 0.001), ("0", 0)])
def test_cpu(text, cores):
    assert parse_cpu(text) == cores


@pytest.mark.parametrize("text", ["", "m", "-1", "two", "1e7", "nan", "inf", "1k"])
def test_no_cpu(text):
    with pytest.raises(ValueError):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("42", 42),
        ("42B", 42),
        ("512Mb", 512_000_000),
        ("512 MB", 512_000_000),
        ("1Gi", 1 << 30),
        ("1gib", 1 << 30),
        ("1.5k", 1500),
        ("2Ei", 2 << 60),
    ],
)
def test_bytes(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "Gb", "-1", "1x", "1.", ".5", "1bi", "1e3", "1_000", "9" * 400, "9223373tb"])
def test_no_bytes(text):
    with pytest.raises(ValueError):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("0", 0),
        ("90s", 90),
        ("1h2m3.5s", 3723.5),
        ("1m30s", 90),
        ("250ms", 0.25),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("7ns", 7e-9),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["5", "s", "-1s", "1 h", "1d", "1h2", "h1", "9" * 400 + "h"])
def test_no_durations(text):
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (1e-6, "1µs"),
        (5e-9, "5ns"),
        (3.5, "3.5s"),
        (60, "1m0s"),
        (3723.5, "1h2m3.5s"),
        (-90, "-1m30s"),
    ],
)
def test_durations_are_shown_as_go_does(seconds, text):
    assert show_duration(seconds) == text


@given(st.integers(0, 10**15))
def test_a_shown_duration_reads_back(nanos):
    assert parse_duration(show_duration(nanos / 1e9)) == pytest.approx(nanos / 1e9, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (7_500_000_000, "7.5 GB"), (2e15, "2000.0 TB")]
)
def test_bytes_are_shown(count, text):
    assert show_bytes(count) == text
