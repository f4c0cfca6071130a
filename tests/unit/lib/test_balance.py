"""Even shares: each thing in one, the same each time, and no share far above the mean."""

from hypothesis import given
from hypothesis import strategies as st

from bacalhau.lib.balance import share_out


@given(st.lists(st.integers(1, 10_000), max_size=200), st.integers(1, 12))
def test_no_share_is_above_the_lightest_by_more_than_what_it_got_last(weights, count):
    weighed = sorted(enumerate(weights), key=lambda item: (-item[1], item[0]))
    shared = list(share_out(weighed, count))
    assert sorted(thing for thing, _ in shared) == list(range(len(weights)))
    assert shared == list(share_out(weighed, count))
    loads, last = [0] * count, [0] * count
    for thing, share in shared:
        loads[share] += weights[thing]
        last[share] = weights[thing]
    assert all(load - last[share] <= min(loads) for share, load in enumerate(loads))
