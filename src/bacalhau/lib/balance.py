"""Sharing weights out evenly: each, from the heaviest on, goes to the share that has least (the LPT rule).

Where only a few things are shared out, that rule may leave one share too heavy although there is a better division.
Then the better one is searched for.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapreplace
from itertools import chain, islice
from typing import TypeVar

T = TypeVar("T")
FEW = 16  # things among whose divisions the search finds the best one nearly always
STEPS = 20_000  # of that search: some 50 ms


def share_out(weighed: Iterable[tuple[T, int]], count: int) -> Iterator[tuple[T, int]]:
    """Give each thing the number of its share, from 0 to `count` - 1.

    `weighed` are things with their weights, the heaviest first; those of the same weight in an order that is always the
    same. A share is at most as much above the lightest one as the last thing that it got weighs. Of a few things, the
    largest share is at most 1.15 times the mean, but where one thing is heavier or there is no such division.
    """
    rest = iter(weighed)
    first = list(islice(rest, FEW + 1))
    if len(first) > FEW:
        return _share_in_order(chain(first, rest), count)
    shares = _share_few([weight for _, weight in first], count)
    return ((thing, share) for (thing, _), share in zip(first, shares, strict=True))


def _share_in_order(weighed: Iterable[tuple[T, int]], count: int) -> Iterator[tuple[T, int]]:
    loads = [(0, share) for share in range(count)]
    for thing, weight in weighed:
        load, share = loads[0]
        heapreplace(loads, (load + weight, share))
        yield thing, share


def _share_few(weights: Sequence[int], count: int) -> list[int]:
    shares = [share for _, share in _share_in_order(enumerate(weights), count)]
    if len(weights) <= count:
        return shares
    search = _Search(weights, count, shares)
    search.place(0)
    return search.best


class _Search:
    """A search through the divisions of things by their weights, for one that is even enough.

    `best` is the best one so far: the share of each thing.
    """

    def __init__(self, weights: Sequence[int], count: int, best: list[int]) -> None:
        self._weights, self.best = weights, best
        self._loads, self._path, self._steps = [0] * count, list[int](), 0
        sums = [0] * count
        for weight, share in zip(weights, best, strict=True):
            sums[share] += weight
        self._largest = max(sums)
        self._enough = max(weights[0], sum(weights) * 115 // (count * 100))

    def place(self, at: int) -> None:
        """Place the things from `at` on in every way that may be better than the best one so far."""
        if at == len(self._weights):
            self.best, self._largest = list(self._path), max(self._loads)
            return
        weight = self._weights[at]
        for share in self._choices():
            if self._largest <= self._enough or self._steps >= STEPS:
                return
            if self._loads[share] + weight < self._largest:
                self._steps += 1
                self._loads[share] += weight
                self._path.append(share)
                self.place(at + 1)
                self._path.pop()
                self._loads[share] -= weight

    def _choices(self) -> list[int]:
        """List one share of each load, the lightest first: it makes no difference which of equal ones gets a thing."""
        first = {load: share for share, load in reversed(list(enumerate(self._loads)))}
        return [first[load] for load in sorted(first)]
