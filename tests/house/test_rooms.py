"""Arrows between the rooms of a floor: which room imports which. `docs/architecture.md` shows these figures."""

import re
from pathlib import Path

import grimp
import pytest

PAGE = Path(__file__).parents[2] / "docs/architecture.md"
FLOORS = ("orchestrator", "compute", "api", "cli", "models")
GRAPH = grimp.build_graph("bacalhau", cache_dir=None)


def arrows(floor):
    """Pairs of rooms, one entry for each import between modules of the two."""
    inside = f"bacalhau.{floor}."

    def room(module):
        return module.removeprefix(inside).split(".")[0]

    return [
        (room(module), room(target))
        for module in sorted(GRAPH.modules)
        if module.startswith(inside)
        for target in GRAPH.find_modules_directly_imported_by(module)
        if target.startswith(inside) and room(target) != room(module)
    ]


@pytest.mark.parametrize("floor", FLOORS)
def test_the_page_knows_how_many_arrows_there_are_between_the_rooms_of_a_floor(floor):
    """A figure that is off by more than two shows that rooms have changed, and the page has not."""
    told = re.search(rf"^\| {floor} \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert told is not None
    assert abs(len(set(arrows(floor))) - int(told[1])) <= 2
