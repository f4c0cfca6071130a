"""A short search at most doors, with the same examples each time; `make fuzz` searches on, also through sockets."""

import pytest

from tests.fuzz import nodes, requests, texts
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
    requests.knock(opened, Search(150))


def test_requests_of_strangers(guarded):
    requests.knock(guarded, Search(150))


def test_nodes(opened):
    nodes.knock(opened, Search(150))


def test_job_files(opened):
    texts.knock_jobs(opened, Search(20))


def test_configuration_files():
    texts.knock_settings(Search(20))
