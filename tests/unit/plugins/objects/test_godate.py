"""Dates by Go's layouts: what is read, and how it is written again."""

import pytest

from bacalhau.plugins.objects.godate import GoLayout


@pytest.mark.parametrize(
    ("layout", "text", "written"),
    [
        ("2006-01-02", "2024-02-29/rest", "2024-02-29"),
        ("2006/01/02 15:04:05.000", "2024/12/31 23:59:58.123", "2024/12/31 23:59:58.123"),
        ("year_2006", "year_1999.csv", "year_1999"),
        ("20060102", "20240305.parquet", "20240305"),
        ("06-1-2", "24-3-5", "24-3-5"),
        ("06-1-2", "24-03-5x", None),
        ("02 Jan 06", "05 MAR 70", "05 Mar 70"),
        ("Mon 02 Jan 2006", "Sun 05 Mar 2024", "Tue 05 Mar 2024"),
        ("Monday", "friday", "Saturday"),
        ("Jan _2", "Feb  9", "Feb  9"),
        ("03:04PM", "12:30AM", "12:30AM"),
        ("03:04pm", "11:05pm", "11:05pm"),
        ("3 PM", "7 AM", "7 AM"),
        ("15:04 MST", "10:00 CET", "10:00 CET"),
        ("2006-01-02T15:04:05-07:00", "2024-01-01T00:00:00+01:00", "2024-01-01T00:00:00+01:00"),
        ("2006-01-02T15-0700", "2024-01-01T00+0100", "2024-01-01T00+0100"),
        ("01-02", "02-29", "02-29"),
        ("2006-01-02", "2023-02-29", None),
        ("2006-01-02", "2024-1-02x", None),
        ("2006-01-02", "2024-01", None),
        ("2006-01-02", "٢٠٢٤-٠١-٠٢", None),
        ("03", "13", None),
    ],
)
def test_read_and_written_again(layout, text, written):
    assert GoLayout(layout).canonical(text) == written


def test_whether_there_is_a_date_in_it():
    assert GoLayout("2006").has_date
    assert not GoLayout("%Y/%m").has_date
