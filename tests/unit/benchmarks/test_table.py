"""Parts of the benchmark are chosen by name."""

import pytest

from benchmarks.table import PARTS, choose


def test_no_name_chooses_all_parts():
    assert choose("") == PARTS


def test_names_choose_their_parts_in_the_order_of_the_table():
    assert list(choose("polling, placement,")) == ["placement", "polling"]


def test_an_unknown_name_is_told_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"no part is called plaement, xy\. Known are machine, latency, small-jobs, "):
        choose("plaement,polling,xy")


def test_only_parts_that_run_containers_need_docker():
    assert {name for name, part in PARTS.items() if part.docker} == {"latency", "burst"}
