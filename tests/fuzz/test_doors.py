"""A short look at every door, with the same examples each time; `make fuzz` searches on."""

import pytest

from tests.fuzz import requests
from tests.fuzz.search import Search
from tests.fuzz.target import target


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with target(tmp_path_factory.mktemp("open")) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with target(tmp_path_factory.mktemp("guarded"), guarded=True) as made:
        yield made


def test_requests(opened):
    requests.knock(opened, Search(200))


def test_requests_of_strangers(guarded):
    requests.knock(guarded, Search(200))
