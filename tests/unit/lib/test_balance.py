"""Even shares: each thing in one, the same each time, and no share far above the mean."""

from hypothesis import example, given
from hypothesis import strategies as st

from bacalhau.lib.balance import FEW, share_out


def loads_of(weights, shared, count):
    loads = [0] * count
    for thing, share in shared:
        loads[share] += weights[thing]
    return loads


def smallest_largest(weights, count):
    """The largest share of the best division, by looking at all of them."""
    found = {(0,) * count}
    for weight in weights:
        found = {
            tuple(sorted((*loads[:share], loads[share] + weight, *loads[share + 1 :])))
            for loads in found
            for share in range(count)
        }
    return min(loads[-1] for loads in found)


@given(st.lists(st.integers(0, 10_000), max_size=200), st.integers(1, 12))
def test_each_thing_is_in_one_share_and_the_same_each_time(weights, count):
    weighed = sorted(enumerate(weights), key=lambda item: (-item[1], item[0]))
    shared = list(share_out(weighed, count))
    assert sorted(thing for thing, _ in shared) == list(range(len(weights)))
    assert all(0 <= share < count for _, share in shared)
    assert shared == list(share_out(iter(weighed), count))


@given(st.lists(st.integers(1, 10_000), min_size=FEW + 1, max_size=200), st.integers(1, 12))
def test_no_share_of_many_things_is_above_the_lightest_by_more_than_what_it_got_last(weights, count):
    weighed = sorted(enumerate(weights), key=lambda item: (-item[1], item[0]))
    loads, last = [0] * count, [0] * count
    for thing, share in share_out(weighed, count):
        loads[share] += weights[thing]
        last[share] = weights[thing]
    assert all(load - last[share] <= min(loads) for share, load in enumerate(loads))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=9), st.integers(1, 4))
@example([3, 3, 2, 2, 2], 2)
@example([5, 5, 3, 3, 2, 2, 2], 4)
def test_the_largest_share_is_near_the_mean_or_there_is_no_better_division(weights, count):
    weighed = sorted(enumerate(weights), key=lambda item: (-item[1], item[0]))
    largest = max(loads_of(weights, share_out(weighed, count), count))
    assert largest <= max(1.15 * sum(weights) / count, smallest_largest(weights, count))
