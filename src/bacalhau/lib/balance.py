"""Sharing weights out evenly: each, from the heaviest on, goes to the share that has least (the LPT rule)."""

from collections.abc import Iterable, Iterator
from heapq import heapreplace
from typing import TypeVar

T = TypeVar("T")


def share_out(weighed: Iterable[tuple[T, int]], count: int) -> Iterator[tuple[T, int]]:
    """Give each thing the number of its share, from 0 to `count` - 1.

    `weighed` are things with their weights, the heaviest first; those of the same weight in an order that is always the
    same. A share is at most as much above the lightest one as the last thing that it got weighs.
    """
    loads = [(0, share) for share in range(count)]
    for thing, weight in weighed:
        load, share = loads[0]
        heapreplace(loads, (load + weight, share))
        yield thing, share
