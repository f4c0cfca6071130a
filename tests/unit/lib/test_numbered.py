"""Nothing above the number that a sender is told is missing, however its messages end."""

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.numbered import Numbers


@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=40))
def test_what_is_told_is_durable_with_all_before_it(events):
    """A message is begun in order the first time, and done, refused or repeated in any."""
    numbers, durable = Numbers(), set()
    for number in range(1, 9):
        numbers.begin(number)
    for number, is_done in events:
        numbers.begin(number)
        if is_done:
            durable.add(number)
            numbers.done(number)
        assert set(range(1, numbers.latest + 1)) <= durable


def test_a_sender_that_counts_anew_is_followed():
    numbers = Numbers()
    for number in (500, 1, 2):
        numbers.begin(number)
        numbers.done(number)
    assert numbers.latest == 2
    numbers.begin(3)
    numbers.begin(4)
    numbers.done(4)
    assert numbers.latest == 2
    numbers.resume()
    numbers.begin(5)
    numbers.done(5)
    numbers.done(0)
    assert numbers.latest == 5
