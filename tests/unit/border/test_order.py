"""The order of two streams, against a model that keeps the stream of every byte."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.border.order import MOST, STDERR, STDOUT, Order, read_spans

STREAM = st.sampled_from([STDOUT, STDERR])


def bytes_between(path, at, ends):
    """Name every byte between two places as (stream, number), in order."""
    return [(s, number) for s, begin, end in read_spans(path, at, ends) for number in range(begin, end)]


@given(
    st.lists(st.tuples(STREAM, st.integers(0, 3), st.booleans()), max_size=30), st.integers(0, 90), st.integers(0, 90)
)
def test_what_was_printed_is_read_as_it_came_from_any_place_to_any_other(prints, start, stop):
    came = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "order"
        order = Order(path)
        for stream, count, restarts in prints:
            if restarts:
                order.close()
                order = Order(path, resumes=True)
            known = sum(s == stream for s, _ in came)
            came += [(stream, number) for number in range(known, known + count)]
            order.note(stream, known + count)
            order.note(stream, known)  # a source that repeats itself
        order.close()
        begin, end = sorted((min(start, len(came)), min(stop, len(came))))
        at, ends = ([sum(s == stream for s, _ in came[:cut]) for stream in (STDOUT, STDERR)] for cut in (begin, end))
        assert bytes_between(path, at, ends) == came[begin:end]


def test_without_an_order_stdout_comes_first(tmp_path):
    assert bytes_between(tmp_path / "none", (1, 0), (3, 2)) == [(1, 1), (1, 2), (2, 0), (2, 1)]


def test_the_order_is_bounded_and_nothing_is_lost_beyond(tmp_path):
    order = Order(tmp_path / "order")
    for number in range(MOST):
        order.note(STDOUT, number + 1)
        order.note(STDERR, number + 1)
    order.close()
    assert (tmp_path / "order").stat().st_size == 16 * MOST
    read = bytes_between(tmp_path / "order", (MOST // 2 - 1, MOST // 2 - 1), (MOST, MOST))
    assert read[:4] == [(1, MOST // 2 - 1), (2, MOST // 2 - 1), (1, MOST // 2), (1, MOST // 2 + 1)]
    assert len(read) == MOST + 2
