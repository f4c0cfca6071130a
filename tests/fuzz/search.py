"""One way to search for failing examples: always the same ones for `make test`, those of a seed for `make fuzz`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Search:
    """`examples` of each property; without `number` they are the same ones each time, with it those of that seed."""

    examples: int
    number: int | None = None

    @property
    def settings(self) -> settings:
        return settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            derandomize=self.number is None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )

    def run(self, holds: Callable[[Any], None], examples: SearchStrategy[Any], share: float = 1.0) -> None:
        """Raise what `holds` raises for the smallest example found; the note on the error shows it."""

        def search(example: Any) -> None:
            holds(example)

        bounded = settings(self.settings, max_examples=max(1, round(self.examples * share)))
        found = bounded(given(example=examples)(search))
        (found if self.number is None else seed(self.number)(found))()
