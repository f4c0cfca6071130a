"""Rows sorted on the disk: any order in, one order out, also by another process."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib import sorted_rows
from bacalhau.lib.sorted_rows import SortedRows


class Row(NamedTuple):
    group: int
    name: str
    value: int = 0


ROWS = st.lists(st.builds(Row, st.integers(-1, 3), st.text(max_size=3), st.integers()), max_size=60)


@pytest.fixture(autouse=True)
def few_in_memory(monkeypatch):
    monkeypatch.setattr(sorted_rows, "IN_MEMORY", 7)


@given(ROWS)
def test_rows_come_in_order_and_the_last_of_equal_ones_counts(rows):
    kept = SortedRows(Row)
    for row in rows:
        kept.add(row)
    last = {row[:2]: row for row in rows}
    assert list(kept) == list(kept) == [last[key] for key in sorted(last)]
    assert kept.is_empty == (not rows)


@given(ROWS)
def test_another_process_finds_what_was_flushed(tmp_path_factory, rows):
    prefix = tmp_path_factory.mktemp("rows") / ".read"
    kept = SortedRows(Row, prefix)
    for row in rows:
        kept.add(row)
    kept.flush()
    (prefix.parent / ".read.0.part").touch()
    (prefix.parent / ".read-whole").touch()
    assert list(SortedRows(Row, prefix)) == list(kept)
    SortedRows(Row, prefix).clear()
    assert SortedRows(Row, prefix).is_empty
