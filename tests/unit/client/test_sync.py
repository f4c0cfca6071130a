"""The client without `await`: what it starts ends with it."""

import threading

import pytest

from bacalhau.client.sync import Client
from bacalhau.lib.errors import BadRequest


def test_a_client_that_cannot_be_opened_leaves_no_thread_behind():
    before = threading.active_count()
    with pytest.raises(BadRequest, match="not an URL of an API"):
        Client("ftp://127.0.0.1")
    assert threading.active_count() == before
