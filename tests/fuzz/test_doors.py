"""A short search at most doors, with the same examples each time; `make fuzz` searches on, at all of them."""

import pytest

from tests.fuzz import nodes, readers, requests, sockets, texts
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


def test_sockets(opened):
    sockets.knock(opened, Search(12))


def test_sockets_of_strangers(guarded):
    sockets.knock(guarded, Search(8))


def test_event_streams(opened):
    sockets.knock_streams(opened, Search(8))


@pytest.mark.parametrize("knock", [readers.knock_urls, readers.knock_buckets, readers.knock_content])
def test_servers_that_lie(knock):
    knock(Search(20))
